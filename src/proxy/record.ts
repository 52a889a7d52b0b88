import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { asFailure, codeOf, isGuards, type FailureCode } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { cleaned, storable } from "#src/telemetry/redact.ts";
import type { CallContext, ToolInvocation } from "#src/policy/plan.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { createHmac } from "node:crypto";
import type { McpExchange } from "./mcp-exchange.ts";
import {
  type EncodedRows,
  type MakeLink,
  saveCalls,
  type CallRow,
  WaitingRows,
} from "./call-store.ts";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";

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

/**
 * Up to 1,000 rows a second are stored; beyond 5,000 waiting rows, or 4 MiB of them, the newest are dropped and counted
 * in the log, which has a line for every call in any case.
 */
export function createRecorder(app: Deps): Recorder {
  const makeLink = chainWith(app.bindingKey);
  const waiting = new WaitingRows();
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
    if (waiting.isFull) {
      dropped += 1;
      return;
    }
    const at = new Date(startedAt);
    waiting.add(recordText(record, caller, [newId(at), at.toISOString()]));
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

/**
 * Records of calls whose answers have gone: each step is done for all of them before the next, which costs each of
 * them less.
 */
function createBacklog(log: App["log"], steps: readonly ((record: CallRecord) => void)[]) {
  const records: CallRecord[] = [];
  let behind: ReturnType<typeof setTimeout> | undefined;
  const take = (step: (record: CallRecord) => void, record: CallRecord) => {
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
    for (const step of steps) for (const record of all) take(step, record);
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

/** foreign_key_violation, serialization_failure, deadlock_detected, lock_not_available, idle_in_transaction_session_timeout. */
const passing = new Set(["23503", "40001", "40P01", "55P03", "25P03"]);

/** A database that is away may have the batch later; one that refuses it would refuse it again. */
async function attempt(
  app: Pick<App, "db" | "log">,
  batch: EncodedRows,
  makeLink: MakeLink,
): Promise<"stored" | "later" | "never"> {
  try {
    await timely(saveCalls(app.db, batch, makeLink));
    app.log.over("calls_not_stored_yet");
    return "stored";
  } catch (error) {
    app.log.lasting("calls_not_stored_yet", errorFields(error));
    // A person who is deleted in this moment, two who wait for each other: the next time it is different.
    const isPassing = passing.has(codeOf(error) ?? "");
    return isPassing || asFailure(error).code === "database_unavailable" ? "later" : "never";
  }
}

/** What is left of a call when its answer has gone. Short arguments are in it until their hash is made, within 20 ms. */
export type CallRecord = {
  /** Milliseconds, as `endedAt`. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Made here, or one that needs no escapes (see `createRequestIds` of the router). */
  readonly requestId: string;
  readonly upstream: Pick<Upstream, "name">;
  /** Undefined for a call of nobody. */
  readonly caller: Caller | undefined;
  /** Undefined where the message could not be read. */
  readonly httpMethod: string | undefined;
  readonly rpcMethod: string | undefined;
  readonly name: string | undefined;
  readonly status: number;
  readonly upstreamStatus: number | undefined;
  readonly failure: FailureCode | undefined;
  /** What policy has said about it. */
  readonly guard: string | undefined;
  /** What it was, for the log. */
  readonly reason: string | undefined;
  /** Its call of a tool, where it holds one. */
  readonly tool: ToolInvocation | undefined;
};

/** What is left of a call. */
function recordOf(exchange: McpExchange, status: number, endedAt: number): CallRecord {
  const { call, context, requestId, upstream, startedAt, upstreamStatus, failure, reason } =
    exchange;
  return {
    startedAt,
    endedAt,
    requestId,
    upstream,
    caller: context?.caller,
    httpMethod: call?.httpMethod,
    rpcMethod: call?.rpcMethod,
    name: call?.name,
    status,
    upstreamStatus,
    failure,
    guard: guardOf(exchange),
    reason,
    tool: settledTool(context),
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

/** At once: whoever reads the metrics next finds it. */
function count(metrics: App["metrics"], record: CallRecord): void {
  const { upstream, rpcMethod: method, status, failure, startedAt, endedAt } = record;
  metrics.call({ upstream: upstream.name, method, status }, (endedAt - startedAt) / 1000);
  if (failure !== undefined && isGuards(failure)) metrics.guardRefusal(upstream.name, failure);
}

/*
 * A call as text: a line of the log and a row of the audit trail. What many calls have in common is written once and
 * remembered: the caller's part, and names.
 */

/** Everything of a call for the log, as the members of a JSON object; what others have chosen is redacted. */
export function logMembers(record: CallRecord): string {
  const { requestId, upstream, rpcMethod, name, status, caller, tool, failure } = record;
  const method = rpcMethod === undefined ? "" : `,"rpcMethod":${textOf(rpcMethod).log}`;
  const named = name === undefined ? "" : `,"name":${textOf(name).log}`;
  const hash = tool === undefined ? "" : `,"argumentsHash":"${tool.hash}"`;
  const what = `"requestId":"${requestId}","upstream":${textOf(upstream.name).log}${method}${named}`;
  const how = `,"status":${status}${number("upstreamStatus", record.upstreamStatus)}${text("failure", failure)}`;
  const who = caller === undefined ? "" : textOfCaller(caller).log;
  const reason = record.reason === undefined ? undefined : cleaned(record.reason);
  const rest = `${text("guard", record.guard)}${text("reason", reason)}`;
  return `${what}${how},"durationMs":${durationOf(record)}${who}${hash}${rest}`;
}

function number(name: string, value: number | undefined): string {
  return value === undefined ? "" : `,"${name}":${value}`;
}

function text(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;
}

function durationOf({ startedAt, endedAt }: CallRecord): number {
  return Math.round(endedAt - startedAt);
}

/** A call for the audit trail: the same text as `rowText` of the row that it becomes. */
export function recordText(record: CallRecord, caller: Caller, [id, at]: [string, string]): string {
  const { requestId, upstream, httpMethod, rpcMethod, name, guard, status, failure } = record;
  const who = textOfCaller(caller).row;
  const what = `"${requestId}",${orNull(upstream.name)},${orNull(httpMethod)},${orNull(rpcMethod)},${orNull(name)}`;
  const hash = record.tool === undefined ? "null" : `"${record.tool.hash}"`;
  const how = `${hash},${orNull(guard)},${status},${record.upstreamStatus ?? null},${durationOf(record)}`;
  return `["${id}","${at}",${who},${what},${how}${failure === undefined ? "" : `,"${failure}"`}]`;
}

/** Everything that is stored of a call, in the order of its columns: what its digest is of, and what is sent. */
export function rowText(row: CallRow): string {
  const { id, at, personId, accountId, sessionId, grantId, agentId, clientId } = row;
  const { requestId, upstream, httpMethod, rpcMethod, name, argumentsHash, guard } = row;
  const { status, upstreamStatus, durationMs, failure } = row;
  const who = [id, at.toISOString(), personId, accountId, sessionId, grantId, agentId, clientId];
  const what = [requestId, upstream, httpMethod, rpcMethod, name, argumentsHash, guard];
  // Rows of before there was a code of failure have their digests without it.
  const outcome = [status, upstreamStatus, durationMs, ...(failure ? [failure] : [])];
  return JSON.stringify([...who, ...what, ...outcome].map((value) => value ?? null));
}

/**
 * The chain of calls: each batch holds a digest of each of its rows, and an HMAC over these and the link before it.
 * Whoever changes, adds or removes a row, also in the database itself, would need the gateway's key to hide it.
 */
export function chainWith(key: Uint8Array): MakeLink {
  return (before, { seq, day, digests }) =>
    createHmac("sha256", key)
      .update(before ?? "first")
      .update(`${seq} ${day}`)
      .update(digests)
      .digest();
}

type Text = {
  /** Redacted. */
  readonly log: string;
  /** As PostgreSQL takes it. */
  readonly row: string;
};

const callers = new WeakMap<Caller, Text>();

/** The caller's part. */
function textOfCaller(caller: Caller): Text {
  const known = callers.get(caller);
  if (known !== undefined) return known;
  const { kind, id, accountId, personId, agent } = caller;
  const of = (each: Caller["kind"]) => (kind === each ? id : undefined);
  const [sessionId, grantId, agentId] = [of("session"), of("grant"), of("agent")];
  const fields = { accountId, sessionId, grantId, agentId, clientId: cleaned(agent) };
  const members = JSON.stringify(fields).slice(1, -1);
  const stored = [personId, accountId, sessionId, grantId, agentId, storable(agent)];
  const row = JSON.stringify(stored.map((value) => value ?? null)).slice(1, -1);
  const made = { log: members === "" ? "" : `,${members}`, row };
  callers.set(caller, made);
  return made;
}

const names = new Map<string, Text>();
const [mostNames, longestName] = [1000, 200];

/** A name that others have chosen: they are few, and short ones are remembered. */
function textOf(name: string): Text {
  const known = names.get(name);
  if (known !== undefined) return known;
  const made = { log: JSON.stringify(cleaned(name)), row: JSON.stringify(storable(name)) };
  if (name.length > longestName) return made;
  if (names.size >= mostNames) names.clear();
  names.set(name, made);
  return made;
}

function orNull(name: string | undefined): string {
  return name === undefined ? "null" : textOf(name).row;
}
