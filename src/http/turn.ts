/**
 * What many requests need in one turn of the event loop is done together, each step for all of them before the next:
 * the code and the data of a step are in the processor's caches then, where a request that goes its whole way alone
 * finds them full of something else. Whoever is alone waits for nobody.
 */
type Job = () => void;

const [answers, requests, sends]: [Job[], Job[], Job[]] = [[], [], []];
let underWay = 0;

/** Does `work` at the end of this turn where others are under way, or at once. Rejects with what it throws. */
export function takeRequest<T>(work: () => T | Promise<T>): T | Promise<T> {
  if (underWay === 0) return counted(work());
  return counted(
    new Promise<T>((resolve, reject) => {
      inTurn(requests, () => attempt(work, resolve, reject));
    }),
  );
}

/** The same for what an upstream has answered; `job` never throws. */
export function takeAnswer(job: Job): void {
  if (underWay < 2) job();
  else inTurn(answers, job);
}

/** The same for what goes to an upstream, when the others have come so far, too; `job` never throws. */
export function sendTogether(job: Job): void {
  if (underWay < 2) return job();
  if (sends.push(job) === 1) queueMicrotask(() => doAll(sends.splice(0)));
}

function inTurn(jobs: Job[], job: Job): void {
  if (answers.length + requests.length === 0) {
    // Requests that are almost done come first. What they bring in meanwhile waits for the next turn.
    setImmediate(() => doAll([...answers.splice(0), ...requests.splice(0)]));
  }
  jobs.push(job);
}

function doAll(jobs: readonly Job[]): void {
  for (const job of jobs) job();
}

function attempt<T>(
  work: () => T | Promise<T>,
  resolve: (value: T | Promise<T>) => void,
  reject: (error: unknown) => void,
): void {
  try {
    resolve(work());
  } catch (error) {
    reject(error);
  }
}

/** Under way until it is answered. */
function counted<T>(answer: T | Promise<T>): T | Promise<T> {
  if (!(answer instanceof Promise)) return answer;
  underWay += 1;
  const over = () => {
    underWay -= 1;
  };
  answer.then(over, over);
  return answer;
}
