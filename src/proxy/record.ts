import type { Caller } from "#src/oauth-server/caller.ts";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { Failure, asFailure, codeOf, isGuards } from "#src/failure.ts";
import { within } from "#src/timeout.ts";
import { cleaned, storable } from "#src/telemetry/redact.ts";
import type { CallContext, ToolInvocation } from "#src/policy/call.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { chainWith } from "./audit.ts";
import type { McpExchange } from "./mcp-exchange.ts";
import { type CallRow, type Chain, type EncodedRow, saveCalls } from "./call-store.ts";

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
  const chain = chainWith(app.bindingKey);
  const waiting: EncodedRow[] = [];
  const backlog = createBacklog(app.log, keep);
  let [dropped, lost] = [0, 0];
  let running: Promise<boolean> | undefined;
  const timer = setInterval(() => {
    if (waiting.length > 0) void write();
  }, everyMs);

  function keep({ facts, row, endedAt, tool }: Recorded): void {
    facts.argumentsHash = tool?.hash;
    app.log.redacted(facts.status >= 500 ? "warn" : "info", "call", facts, endedAt);
    // Calls of nobody (a wrong bearer) are in the log alone: a flood of them must not fill the database.
    if (row === undefined) return;
    if (waiting.length < mostWaiting) waiting.push(chain.encode(rowOf(facts, row)));
    else dropped += 1;
  }

  /** One batch at a time; true when it is stored. */
  function write(): Promise<boolean> {
    running ??= writeBatch().finally(() => {
      running = undefined;
    });
    return running;
  }

  async function writeBatch(): Promise<boolean> {
    const batch = waiting.slice(0, batchRows);
    const outcome = await attempt(app, batch, chain);
    if (outcome !== "later") waiting.splice(0, batch.length);
    if (outcome === "never") dropped += batch.length;
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
      if (exchange.span !== undefined) endSpan(exchange.span, record.facts);
      count(app.metrics, record.facts);
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

/** Records of calls whose answers have gone, kept all at once: what is done for many costs each of them less. */
function createBacklog(log: App["log"], keep: (record: Recorded) => void) {
  const records: Recorded[] = [];
  let behind: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(behind);
    behind = undefined;
    for (const record of records.splice(0)) {
      try {
        keep(record);
      } catch (error) {
        // Nobody waits for this any more who could be told.
        log.error("internal", { requestId: record.facts.requestId, ...errorFields(error) });
      }
    }
  };
  return {
    add(record: Recorded): void {
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
  batch: readonly EncodedRow[],
  chain: Chain,
): Promise<"stored" | "later" | "never"> {
  try {
    const late = () => new Failure("database_unavailable");
    await within(databaseLimitMs, saveCalls(app.db, batch, chain), late);
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
function count(metrics: App["metrics"], facts: Facts): void {
  const { upstream, rpcMethod: method, status, failure, durationMs } = facts;
  metrics.call({ upstream, method, status }, durationMs / 1000);
  if (failure !== undefined && isGuards(failure)) metrics.guardRefusal(upstream, failure);
}

/** What is left of a call when its answer has gone. Short arguments are in it until their hash is made, within 20 ms. */
type Recorded = {
  readonly facts: Facts;
  readonly endedAt: number;
  /** The only call of a tool in it. */
  readonly tool: ToolInvocation | undefined;
  /** What the audit trail has besides; undefined for a call of nobody. */
  readonly row: Besides | undefined;
};

type Facts = ReturnType<typeof factsOf>;

type Besides = Pick<CallRow, "httpMethod" | "personId" | "rpcMethod" | "name" | "clientId"> & {
  readonly startedAt: number;
};

function recordOf(exchange: McpExchange, status: number, endedAt: number): Recorded {
  const { call, caller, startedAt } = exchange;
  const facts = factsOf(exchange, status, Math.round(endedAt - startedAt));
  const tool = settledTool(exchange.context);
  if (caller === undefined || call === undefined) return { facts, endedAt, tool, row: undefined };
  const row = {
    startedAt,
    httpMethod: call.httpMethod,
    personId: caller.personId,
    rpcMethod: storable(call.rpcMethod),
    name: storable(call.name),
    clientId: storable(caller.agent),
  };
  return { facts, endedAt, tool, row };
}

/** What the log has of a call, flat; what others have chosen is redacted. */
function factsOf(exchange: McpExchange, status: number, durationMs: number) {
  const { call, caller, requestId, upstream, upstreamStatus, failure } = exchange;
  return {
    requestId,
    upstream: upstream.name,
    rpcMethod: cleaned(call?.rpcMethod),
    name: cleaned(call?.name),
    status,
    upstreamStatus,
    failure,
    durationMs,
    accountId: caller?.accountId,
    sessionId: idOf(caller, "session"),
    grantId: idOf(caller, "grant"),
    agentId: idOf(caller, "agent"),
    clientId: cleaned(caller?.agent),
    /** Made behind the answer, in `keep`. */
    argumentsHash: noHash,
    guard: guardOf(exchange),
    reason: cleaned(exchange.reason),
  };
}

function idOf(caller: Caller | undefined, kind: Caller["kind"]): string | undefined {
  return caller?.kind === kind ? caller.id : undefined;
}

const noHash: string | undefined = undefined;

function settledTool(context: CallContext | undefined): ToolInvocation | undefined {
  const tool = context?.tools.length === 1 ? context.tools[0] : undefined;
  tool?.settleWithoutHash();
  return tool;
}

/** What policy has said about it. */
function guardOf({ failure, decision }: McpExchange): string | undefined {
  return failure !== undefined && isGuards(failure) ? failure : decision?.approval;
}

/** The same for the audit trail. */
function rowOf(facts: Facts, { startedAt, ...besides }: Besides): CallRow {
  const at = new Date(startedAt);
  return { ...facts, ...besides, id: newId(at), at };
}

function endSpan(span: NonNullable<McpExchange["span"]>, facts: Facts): void {
  const { rpcMethod, name, upstream, status, upstreamStatus, requestId } = facts;
  const said = {
    "mcp.method.name": rpcMethod,
    "mcp.tool.name": name,
    "smartdash.upstream": upstream,
    "smartdash.request_id": requestId,
    "http.response.status_code": status,
    "smartdash.upstream_status": upstreamStatus,
  };
  span.end(said, status >= 500);
}
