import { hash } from "node:crypto";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { FailureCode } from "#src/failure.ts";
import type { ToolInvocation } from "#src/policy/call.ts";
import { cleaned, storable } from "#src/telemetry/redact.ts";
import type { CallRow } from "./call-store.ts";

/*
 * A call as text: a line of the log and a row of the audit trail. What many calls have in common is written once and
 * remembered: the caller's part, and names.
 */

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
  /** The only call of a tool in it. */
  readonly tool: ToolInvocation | undefined;
};

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

/** Of a row's text, 32 bytes: what the chain of the audit trail is made of. */
export function digestOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
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
