import { post, toolCall } from "#test/support/mcp.ts";

export type Target = { readonly url: string; readonly bearer: string };

const mostCalls = 20_000;
type Call = (count: number) => Promise<string | undefined>;

/** Callers that make one call after the other, until they are told to end or there have been 20,000. */
export class SteadyCalls {
  readonly failed: string[] = [];
  calls = 0;
  #isOver = false;
  readonly #pauseMs: number;
  readonly #running: readonly Promise<void>[];

  /**
   * @param callers One for each: makes a call, and says what went wrong if something did.
   * @param pauseMs Between two calls of one caller: a steady load, and not all that the machine can take.
   */
  constructor(callers: readonly Call[], pauseMs: number) {
    this.#pauseMs = pauseMs;
    this.#running = callers.map((call) => this.#repeat(call));
  }

  /** Resolves when so many more calls have been made. */
  async passes(count: number): Promise<void> {
    const enough = Math.min(this.calls + count, mostCalls);
    while (this.calls < enough) await Bun.sleep(10);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #repeat(call: Call): Promise<void> {
    while (!this.#isOver && this.calls < mostCalls) {
      this.calls += 1;
      const failure = await call(this.calls);
      if (failure !== undefined) this.failed.push(failure);
      await Bun.sleep(this.#pauseMs);
    }
  }
}

/** A call that is answered at once, with its own number. */
export async function shortCall({ url, bearer }: Target, id: number): Promise<string | undefined> {
  const outcome = await post(`${url}/mcp`, bearer, toolCall("echo", {}, id)).then(
    async (answer) => `${answer.status} ${await answer.text()}`,
    String,
  );
  const isAnswered = outcome.startsWith("200 ") && outcome.includes(`"echoed":${id}}`);
  return isAnswered ? undefined : `call ${id}: ${outcome.slice(0, 300)}`;
}

export type HeldStreams = AsyncDisposable & {
  /** How many still run. */
  open(): number;
  /** Opens another one for each that has ended; says with which code each ended. */
  renewed(): Promise<readonly string[]>;
};

type Held = { readonly id: number; readonly leave: () => void; ended: string | undefined };

/** Streams that an agent waits on; nginx gives every gateway its share of them. */
export async function holdStreams(target: Target, count: number): Promise<HeldStreams> {
  let held: Held[] = [];
  let ids = 0;
  const open = async () => {
    held.push(await holdStream(target, ++ids));
  };
  for (let each = 0; each < count; each++) await open();
  return {
    open: () => held.filter(({ ended }) => ended === undefined).length,
    async renewed() {
      const over = held.flatMap(({ ended }) => ended ?? []);
      held = held.filter(({ ended }) => ended === undefined);
      for (const _ of over) await open();
      return over;
    },
    [Symbol.asyncDispose]: () => {
      for (const { leave } of held) leave();
      return Promise.resolve();
    },
  };
}

/** Resolves with the first event. */
async function holdStream({ url, bearer }: Target, id: number): Promise<Held> {
  const answer = await post(`${url}/mcp`, bearer, toolCall("listen", {}, id));
  const begun = Promise.withResolvers<void>();
  const reader = answer.body!.getReader();
  const held: Held = { id, ended: undefined, leave: () => void reader.cancel() };
  const read = async () => {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return (held.ended = endOf(text, id));
      text += decoder.decode(value, { stream: true });
      if (text.includes(`{"for":${id}}`)) begun.resolve();
    }
  };
  read().catch((error: unknown) => {
    held.ended = String(error);
    begun.reject(error);
  });
  if (answer.status !== 200) throw new Error(`no stream: ${answer.status}`);
  await begun.promise;
  return held;
}

/** The code of the failed result that the last event is, if it answers this call; else what was said instead. */
function endOf(text: string, id: number): string {
  const last = text.trimEnd().split("\n\n").at(-1) ?? "";
  const data = /^data: (.*)$/m.exec(last)?.[1] ?? "";
  try {
    const message = JSON.parse(data) as { id?: number };
    const code = /"smartdash\/failure":\{"code":"(\w+)"/.exec(data)?.[1];
    return message.id === id ? (code ?? last) : last;
  } catch {
    return last;
  }
}
