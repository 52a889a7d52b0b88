/**
 * Groups the work of requests that the event loop delivers together: each step is done for all of them before the next,
 * so that its code and data stay in the processor's caches (decision 0025). A request that is alone is served at once.
 */

/** A function, or something that has one already: nothing is made for it. */
type Job = (() => void) | { run(): void };

const [answers, requests, sends, later]: [Job[], Job[], Job[], Job[]] = [[], [], [], []];
let isScheduled = false;
/** Requests that are being served. */
let underWay = 0;

/**
 * Runs `work` now if no other request is being served, else in the check phase of this turn of the event loop
 * (`setImmediate`). Throws, or rejects, with what `work` throws.
 */
export function scheduleRequest<T>(work: () => T | Promise<T>): T | Promise<T> {
  if (underWay === 0) return counted(work());
  return counted(
    new Promise<T>((resolve, reject) => inTurn(requests, () => attempt(work, resolve, reject))),
  );
}

const caughtUp = Promise.resolve();

/**
 * To be awaited between two steps of a request: the other requests of this turn come as far first, so that the step
 * that follows is done for all of them in a row. A request that is alone need not wait.
 */
export function step(): Promise<void> | undefined {
  return underWay < 2 ? undefined : caughtUp;
}

/** Runs `job` with the other answers of this turn, before new requests. `job` must not throw: others wait behind it. */
export function scheduleAnswer(job: Job): void {
  if (isAlone()) execute(job);
  else inTurn(answers, job);
}

/** Runs `job` when whatever follows from this turn's answers is done. `job` must not throw. */
export function scheduleAfterAnswers(job: Job): void {
  if (isAlone()) execute(job);
  else inTurn(later, job);
}

/** Runs `job` after the microtasks that are queued now: requests of one turn are written together. `job` must not throw. */
export function scheduleSend(job: Job): void {
  if (isAlone()) return execute(job);
  if (sends.push(job) === 1) queueMicrotask(() => doAll(sends.splice(0)));
}

function isAlone(): boolean {
  return underWay < 2 && !isScheduled;
}

function inTurn(jobs: Job[], job: Job): void {
  jobs.push(job);
  if (!isScheduled) setImmediate(runTurn);
  isScheduled = true;
}

/** Requests that are almost done come first. What they bring in meanwhile waits for the next turn. */
function runTurn(): void {
  isScheduled = false;
  const after = later.splice(0);
  doAll([...answers.splice(0), ...requests.splice(0)]);
  // Microtasks come between.
  if (after.length > 0) setImmediate(() => doAll(after));
}

function doAll(jobs: readonly Job[]): void {
  for (const job of jobs) execute(job);
}

function execute(job: Job): void {
  if (typeof job === "function") job();
  else job.run();
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

/** Counts a request as being served until its response is there. */
function counted<T>(answer: T | Promise<T>): T | Promise<T> {
  if (!(answer instanceof Promise)) return answer;
  underWay += 1;
  answer.then(over, over);
  return answer;
}

function over(): void {
  underWay -= 1;
}

let lastTurn: Promise<void> = Promise.resolve();

/**
 * For what takes a moment that others notice: resolves after whoever came before has had its turn, and whatever else
 * was waiting for the process, too.
 */
export function turn(): Promise<void> {
  lastTurn = lastTurn.then(() => new Promise((resolve) => setImmediate(resolve)));
  return lastTurn;
}
