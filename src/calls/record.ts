import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import type { Exchange } from "./proxy.ts";
import { type CallRow, saveCalls } from "./store.ts";

/** The audit trail, written beside the calls and never in their way. */
export type Recorder = {
  add(exchange: Exchange, status: number): void;
  /** Writes what is waiting; at most as long as the database takes for one batch. */
  stop(): Promise<void>;
};

const everyMs = 500;
const batchRows = 500;
const mostWaiting = 5000;
const longestName = 200;

/**
 * Up to 1,000 rows a second are stored; beyond 5,000 waiting rows the newest are dropped and counted in the
 * log, which has a line for every call in any case.
 */
export function createRecorder(app: Pick<App, "db" | "now" | "log">): Recorder {
  let waiting: CallRow[] = [];
  let dropped = 0;
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (waiting.length > 0) running = running.then(write);
  }, everyMs);

  async function write(): Promise<void> {
    const batch = waiting.slice(0, batchRows);
    if (batch.length === 0) return;
    try {
      await saveCalls(app.db, batch);
      waiting = waiting.slice(batch.length);
    } catch (error) {
      app.log.warn("calls_not_stored_yet", { waiting: waiting.length, ...troubleOf(error) });
    }
    if (dropped > 0) app.log.warn("calls_not_stored", { dropped });
    dropped = 0;
  }

  return {
    add(exchange, status) {
      const { call, caller, startedAt } = exchange;
      const durationMs = Math.round(app.now().getTime() - startedAt);
      const facts = factsOf(exchange, status, durationMs);
      app.log.info("call", facts);
      // Calls of nobody (a wrong bearer) are in the log alone: a flood of them must not fill the database.
      if (caller === undefined || call === undefined) return;
      if (waiting.length >= mostWaiting) {
        dropped += 1;
        return;
      }
      const at = new Date(startedAt);
      const { httpMethod } = call;
      waiting.push({ id: newId(at), at, personId: caller.personId, httpMethod, ...facts });
    },
    async stop() {
      clearInterval(timer);
      await running;
      await write();
    },
  };
}

function factsOf(exchange: Exchange, status: number, durationMs: number) {
  const { call, caller, requestId, upstream, upstreamStatus, failure } = exchange;
  return {
    requestId,
    upstream: upstream.name,
    rpcMethod: call?.rpcMethod?.slice(0, longestName),
    name: call?.name?.slice(0, longestName),
    status,
    upstreamStatus,
    failure,
    durationMs,
    sessionId: caller?.sessionId,
    accountId: caller?.accountId,
  };
}
