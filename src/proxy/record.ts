import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { Failure, asFailure, codeOf, isGuards } from "#src/failure.ts";
import { within } from "#src/clock.ts";
import { cleaned } from "#src/telemetry/redact.ts";
import type { CallContext, ToolInvocation } from "#src/policy/call.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { chainWith } from "./audit.ts";
import type { McpExchange } from "./mcp-exchange.ts";
import { type EncodedRows, type MakeLink, saveCalls } from "./call-store.ts";
import { type CallRecord, digestOf, logMembers, recordText } from "./call-text.ts";

/** The audit trail, written beside the calls and never in their way. */
export type Recorder = {
  /** Leaves a flat record of a call; see `flush`. */
  add(exchange: McpExchange, status: number): void;
  /** Makes log lines and rows of what was recorded; by itself within 20 ms, behind the answers. */
  flush(): void;
  /** Writes what is waiting, until the database no longer takes it. */
  stop(): Promise<void>;
};

type Deps = Pick<App, "db" | "now" | "log" | "metrics" | "bindingKey">;

/** So many at once take half a millisecond; whoever calls meanwhile waits for them. */
const [behindMs, mostRecords] = [20, 64];
const everyMs = 500;
const batchRows = 500;
const mostWaiting = 5000;

/**
 * Up to 1,000 rows a second are stored; beyond 5,000 waiting rows the newest are dropped and counted in the
 * log, which has a line for every call in any case.
 */
export function createRecorder(app: Deps): Recorder {
  const makeLink = chainWith(app.bindingKey);
  const waiting = new Waiting();
  const backlog = createBacklog(app.log, [
    ({ tool }) => void tool?.hash,
    (record) => {
      const level = record.status >= 500 ? "warn" : "info";
      app.log.redacted(level, "call", logMembers(record), record.endedAt);
    },
    keep,
  ]);
  let [dropped, lost] = [0, 0];
  let running: Promise<boolean> | undefined;
  const timer = setInterval(() => {
    if (waiting.length > 0) void write();
  }, everyMs);

  /** For the audit trail. */
  function keep(record: CallRecord): void {
    const { caller, startedAt, httpMethod } = record;
    // Calls of nobody (a wrong bearer) are in the log alone: a flood of them must not fill the database.
    if (caller === undefined || httpMethod === undefined) return;
    if (waiting.length >= mostWaiting) {
      dropped += 1;
      return;
    }
    const at = new Date(startedAt);
    const id = newId(at);
    waiting.add(id, recordText(record, caller, [id, at.toISOString()]));
  }

  /** One batch at a time; true when it is stored. */
  function write(): Promise<boolean> {
    running ??= writeBatch().finally(() => {
      running = undefined;
    });
    return running;
  }

  async function writeBatch(): Promise<boolean> {
    const batch = waiting.first(batchRows);
    const outcome = await attempt(app, batch, makeLink);
    if (outcome !== "later") waiting.remove(batch.ids.length);
    if (outcome === "never") dropped += batch.ids.length;
    if (dropped === 0) app.log.over("calls_not_stored", { dropped: lost });
    else app.log.lasting("calls_not_stored", { dropped: lost + dropped });
    lost = dropped === 0 ? 0 : lost + dropped;
    dropped = 0;
    return outcome === "stored";
  }

  return {
    add(exchange, status) {
      const endedAt = app.now().getTime();
      const record = recordOf(exchange, status, endedAt);
      if (exchange.span !== undefined) endSpan(exchange.span, record);
      if (app.metrics.isRead) count(app.metrics, record);
      backlog.add(record);
    },
    flush: () => backlog.flush(),
    async stop() {
      clearInterval(timer);
      backlog.flush();
      while (waiting.length > 0 && (await write()));
    },
  };
}

/** Rows that are not stored yet, the oldest first. */
class Waiting {
  readonly #ids: string[] = [];
  readonly #texts: string[] = [];
  readonly #digests: Buffer[] = [];

  get length(): number {
    return this.#ids.length;
  }

  add(id: string, text: string): void {
    this.#ids.push(id);
    this.#texts.push(text);
    this.#digests.push(digestOf(text));
  }

  first(most: number): EncodedRows {
    const of = <T>(column: readonly T[]) => column.slice(0, most);
    return { ids: of(this.#ids), texts: of(this.#texts), digests: of(this.#digests) };
  }

  remove(count: number): void {
    for (const column of [this.#ids, this.#texts, this.#digests]) column.splice(0, count);
  }
}

/**
 * Records of calls whose answers have gone: each step is done for all of them before the next, which costs each of
 * them less.
 */
function createBacklog(log: App["log"], steps: readonly ((record: CallRecord) => void)[]) {
  const records: CallRecord[] = [];
  let behind: ReturnType<typeof setTimeout> | undefined;
  const attempt = (step: (record: CallRecord) => void, record: CallRecord) => {
    try {
      step(record);
    } catch (error) {
      // Nobody waits for this any more who could be told.
      log.error("internal", { requestId: record.requestId, ...errorFields(error) });
    }
  };
  const flush = () => {
    clearTimeout(behind);
    behind = undefined;
    const all = records.splice(0);
    for (const step of steps) for (const record of all) attempt(step, record);
  };
  return {
    add(record: CallRecord): void {
      records.push(record);
      if (records.length >= mostRecords) flush();
      else behind ??= setTimeout(flush, behindMs);
    },
    flush,
  };
}

const databaseLimitMs = 5000;
/** foreign_key_violation, serialization_failure, deadlock_detected, lock_not_available, idle_in_transaction_session_timeout. */
const passing = new Set(["23503", "40001", "40P01", "55P03", "25P03"]);

/** A database that is away may have the batch later; one that refuses it would refuse it again. */
async function attempt(
  app: Pick<App, "db" | "log">,
  batch: EncodedRows,
  makeLink: MakeLink,
): Promise<"stored" | "later" | "never"> {
  try {
    const late = () => new Failure("database_unavailable");
    await within(databaseLimitMs, saveCalls(app.db, batch, makeLink), late);
    app.log.over("calls_not_stored_yet");
    return "stored";
  } catch (error) {
    app.log.lasting("calls_not_stored_yet", errorFields(error));
    // A person who is deleted in this moment, two who wait for each other: the next time it is different.
    const isPassing = passing.has(codeOf(error) ?? "");
    return isPassing || asFailure(error).code === "database_unavailable" ? "later" : "never";
  }
}

/** At once: whoever reads the metrics next finds it. */
function count(metrics: App["metrics"], record: CallRecord): void {
  const { upstream, rpcMethod: method, status, failure, startedAt, endedAt } = record;
  metrics.call({ upstream: upstream.name, method, status }, (endedAt - startedAt) / 1000);
  if (failure !== undefined && isGuards(failure)) metrics.guardRefusal(upstream.name, failure);
}

/** What is left of a call. */
function recordOf(exchange: McpExchange, status: number, endedAt: number): CallRecord {
  const { call, caller, requestId, upstream, startedAt, upstreamStatus, failure, reason } =
    exchange;
  return {
    startedAt,
    endedAt,
    requestId,
    upstream,
    caller,
    httpMethod: call?.httpMethod,
    rpcMethod: call?.rpcMethod,
    name: call?.name,
    status,
    upstreamStatus,
    failure,
    guard: guardOf(exchange),
    reason,
    tool: settledTool(exchange.context),
  };
}

function settledTool(context: CallContext | undefined): ToolInvocation | undefined {
  const tool = context?.tools.length === 1 ? context.tools[0] : undefined;
  tool?.settleWithoutHash();
  return tool;
}

/** What policy has said about it. */
function guardOf({ failure, decision }: McpExchange): string | undefined {
  return failure !== undefined && isGuards(failure) ? failure : decision?.approval;
}

function endSpan(span: NonNullable<McpExchange["span"]>, record: CallRecord): void {
  const { rpcMethod, name, upstream, status, upstreamStatus, requestId } = record;
  const said = {
    "mcp.method.name": cleaned(rpcMethod),
    "mcp.tool.name": cleaned(name),
    "smartdash.upstream": upstream.name,
    "smartdash.request_id": requestId,
    "http.response.status_code": status,
    "smartdash.upstream_status": upstreamStatus,
  };
  span.end(said, status >= 500);
}
