import type { Socket } from "bun";
import { requestsOf, takeMessage } from "./framing.ts";
import type { CallsAnswer, CallsJob } from "./jobs.ts";
import { Latencies } from "./latencies.ts";
import { processorMicros } from "./processes.ts";

type Call = { rest: Buffer | undefined; sentAt: number };

const failuresAtMost = 1000;

/** Keeps every connection busy with one call after the other and counts inside the measured window. */
export async function measureCalls(job: CallsJob): Promise<CallsAnswer> {
  const run = new CallsRun(job);
  const deadline = setTimeout(
    () => run.fail(new Error("the target stopped answering")),
    job.warmMillis + job.measureMillis + 5000,
  );
  try {
    return await run.measure();
  } finally {
    clearTimeout(deadline);
    run.close();
  }
}

class CallsRun {
  readonly #job: CallsJob;
  readonly #address: URL;
  readonly #requests: readonly Buffer[];
  readonly #sockets = new Set<Socket<Call>>();
  readonly #failed = Promise.withResolvers<never>();
  #latencies = new Latencies();
  #failures = 0;
  #firstFailure: string | undefined;
  #closing = false;
  #sent = 0;

  constructor(job: CallsJob) {
    this.#job = job;
    this.#address = new URL(job.url);
    this.#requests = requestsOf(this.#address, job);
  }

  async measure(): Promise<CallsAnswer> {
    const { connections, warmMillis, measureMillis, pids } = this.#job;
    // A failure may come when nobody waits for it any more.
    this.#failed.promise.catch(() => {});
    for (let index = 0; index < connections; index += 1) await this.#connect();
    await Promise.race([Bun.sleep(warmMillis), this.#failed.promise]);
    this.#latencies = new Latencies();
    const startedAt = Bun.nanoseconds();
    const usedBefore = processorMicros(pids);
    await Promise.race([Bun.sleep(measureMillis), this.#failed.promise]);
    const usedAfter = processorMicros(pids);
    const seconds = (Bun.nanoseconds() - startedAt) / 1e9;
    const { total } = this.#latencies;
    if (total === 0) throw new Error(`no call was answered: ${this.#firstFailure ?? "silence"}`);
    return {
      callsPerSecond: total / seconds,
      p50Micros: this.#latencies.quantile(0.5),
      p99Micros: this.#latencies.quantile(0.99),
      processorMicrosPerCall:
        usedBefore === undefined || usedAfter === undefined
          ? undefined
          : (usedAfter - usedBefore) / total,
      failures: this.#failures,
      firstFailure: this.#firstFailure,
    };
  }

  fail(error: Error): void {
    this.#failed.reject(error);
  }

  close(): void {
    this.#closing = true;
    for (const socket of this.#sockets) socket.end();
  }

  async #connect(): Promise<void> {
    await Bun.connect<Call>({
      hostname: this.#address.hostname,
      port: Number(this.#address.port),
      data: { rest: undefined, sentAt: 0 },
      socket: {
        open: (socket) => {
          this.#sockets.add(socket);
          this.#send(socket);
        },
        data: (socket, bytes) => this.#receive(socket, bytes),
        close: (socket) => this.#reconnect(socket),
        error: (socket) => socket.terminate(),
      },
    });
  }

  #send(socket: Socket<Call>): void {
    const request = this.#requests[this.#sent % this.#requests.length];
    if (request === undefined) throw new Error("there is nothing to send");
    this.#sent += 1;
    socket.data.sentAt = Bun.nanoseconds();
    // A kilobyte fits into an empty socket buffer; where it does not, the connection is given up.
    if (socket.write(request) < request.length) socket.terminate();
  }

  #receive(socket: Socket<Call>, bytes: Buffer): void {
    const call = socket.data;
    const buffer = call.rest === undefined ? bytes : Buffer.concat([call.rest, bytes]);
    const answer = takeMessage(buffer);
    call.rest = answer === undefined ? buffer : undefined;
    if (answer === undefined || this.#closing) return;
    if (answer.head.startsWith("HTTP/1.1 200") && answer.body.includes(this.#job.expects)) {
      this.#latencies.add((Bun.nanoseconds() - call.sentAt) / 1000);
    } else {
      this.#countFailure(`${answer.head.split("\r\n", 1)[0]} ${answer.body.slice(0, 200)}`);
    }
    if (!this.#closing) this.#send(socket);
  }

  #countFailure(words: string): void {
    this.#failures += 1;
    this.#firstFailure ??= words;
    if (this.#failures < failuresAtMost) return;
    this.close();
    this.fail(new Error(`${failuresAtMost} calls failed, the first with: ${this.#firstFailure}`));
  }

  #reconnect(socket: Socket<Call>): void {
    this.#sockets.delete(socket);
    if (this.#closing) return;
    this.#countFailure("the connection was closed during a call");
    this.#connect().catch((error: unknown) => this.fail(new Error("refused", { cause: error })));
  }
}
