import { performance } from "node:perf_hooks";
import type { Socket } from "bun";
import { requestsOf, takeMessage } from "./framing.ts";
import type { PacedCallsAnswer, PacedCallsJob } from "./jobs.ts";
import { processorMicros } from "./processes.ts";

type Call = { rest: Buffer | undefined; dueAt: number | undefined };

const tickMillis = 2;
const patienceMillis = 15_000;
/** So many calls wait at once; one more is a failure. */
const mostConnections = 5000;

/**
 * Sends calls at an even pace. A call that is late because others wait counts from when it was due: whoever
 * calls does not know that somebody else is waiting.
 */
export async function measurePacedCalls(job: PacedCallsJob): Promise<PacedCallsAnswer> {
  const run = new PacedRun(job);
  const { pids = [] } = job;
  try {
    const usedBefore = processorMicros(pids);
    await run.send();
    await run.settle();
    const usedAfter = processorMicros(pids);
    const isRead = usedBefore !== undefined && usedAfter !== undefined;
    return run.answer(isRead ? usedAfter - usedBefore : undefined);
  } finally {
    run.close();
  }
}

class PacedRun {
  readonly #job: PacedCallsJob;
  readonly #address: URL;
  readonly #requests: readonly Buffer[];
  readonly #sockets = new Set<Socket<Call>>();
  readonly #free: Socket<Call>[] = [];
  readonly #millis: number[] = [];
  #sent = 0;
  #waiting = 0;
  #failures = 0;
  #firstFailure: string | undefined;
  #closing = false;

  constructor(job: PacedCallsJob) {
    this.#job = job;
    this.#address = new URL(job.url);
    this.#requests = requestsOf(this.#address, job);
  }

  async send(): Promise<void> {
    const { perSecond, measureMillis } = this.#job;
    const startedAt = performance.now();
    const total = Math.round((perSecond * measureMillis) / 1000);
    while (this.#sent < total) {
      const due = Math.min(total, ((performance.now() - startedAt) * perSecond) / 1000);
      while (this.#sent < due) this.#begin(startedAt + (this.#sent * 1000) / perSecond);
      await Bun.sleep(tickMillis);
    }
  }

  /** Waits for what is still on its way; what has no answer by then has failed. */
  async settle(): Promise<void> {
    const endAt = performance.now() + patienceMillis;
    while (this.#waiting > 0 && performance.now() < endAt) await Bun.sleep(tickMillis);
    for (const { data } of this.#sockets) {
      if (data.dueAt !== undefined) this.#end(data, `no answer within ${patienceMillis} ms`);
    }
  }

  answer(usedMicros: number | undefined): PacedCallsAnswer {
    const sorted = this.#millis.toSorted((a, b) => a - b);
    const at = (share: number) =>
      sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
    return {
      calls: sorted.length,
      p50Millis: at(0.5),
      p99Millis: at(0.99),
      longestMillis: at(1),
      processorMicrosPerCall: usedMicros === undefined ? undefined : usedMicros / sorted.length,
      failures: this.#failures,
      firstFailure: this.#firstFailure,
    };
  }

  close(): void {
    this.#closing = true;
    for (const socket of this.#sockets) socket.end();
  }

  #begin(dueAt: number): void {
    const request = this.#requests[this.#sent % this.#requests.length];
    if (request === undefined) throw new Error("there is nothing to send");
    this.#sent += 1;
    this.#waiting += 1;
    const call: Call = { rest: undefined, dueAt };
    const socket = this.#free.pop();
    if (socket !== undefined) {
      socket.data = call;
      this.#write(socket, request);
    } else if (this.#sockets.size < mostConnections) {
      this.#connect(call, request).catch((error: unknown) => this.#end(call, String(error)));
    } else {
      this.#end(call, `${mostConnections} calls wait already`);
    }
  }

  async #connect(call: Call, request: Buffer): Promise<void> {
    await Bun.connect<Call>({
      hostname: this.#address.hostname,
      port: Number(this.#address.port),
      data: call,
      socket: {
        open: (socket) => {
          this.#sockets.add(socket);
          this.#write(socket, request);
        },
        data: (socket, bytes) => this.#receive(socket, bytes),
        close: (socket) => this.#forget(socket),
        error: (socket) => socket.terminate(),
      },
    });
  }

  #write(socket: Socket<Call>, request: Buffer): void {
    if (socket.write(request) < request.length) socket.terminate();
  }

  #receive(socket: Socket<Call>, bytes: Buffer): void {
    const call = socket.data;
    const buffer = call.rest === undefined ? bytes : Buffer.concat([call.rest, bytes]);
    const answer = takeMessage(buffer);
    call.rest = answer === undefined ? buffer : undefined;
    if (answer === undefined || this.#closing) return;
    const isGood =
      answer.head.startsWith("HTTP/1.1 200") && answer.body.includes(this.#job.expects);
    const words = `${answer.head.split("\r\n", 1)[0]} ${answer.body.slice(0, 200)}`;
    this.#end(call, isGood ? undefined : words);
    this.#free.push(socket);
  }

  #forget(socket: Socket<Call>): void {
    this.#sockets.delete(socket);
    const index = this.#free.indexOf(socket);
    if (index !== -1) this.#free.splice(index, 1);
    if (!this.#closing) this.#end(socket.data, "the connection was closed during a call");
  }

  /** Counts a call once, however it ended: a failure takes its time too. */
  #end(call: Call, failure: string | undefined): void {
    if (call.dueAt === undefined) return;
    this.#millis.push(performance.now() - call.dueAt);
    call.dueAt = undefined;
    this.#waiting -= 1;
    if (failure === undefined) return;
    this.#failures += 1;
    this.#firstFailure ??= failure;
  }
}
