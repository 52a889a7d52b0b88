import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { isObject } from "#src/json.ts";
import { asFailure } from "#src/failure.ts";
import type { CallContext, HashDeps } from "#src/policy/call.ts";
import type { PolicyDecision } from "#src/policy/guard.ts";
import type { PlanDeps } from "#src/policy/plan.ts";
import type { Switches } from "#src/policy/switches.ts";
import { type Expected, type RpcId, nobody, standsAt, withoutId } from "./rpc-id.ts";
import { screened } from "./tool-lists.ts";
import { mostTold } from "./held-event.ts";
import type { Inspection } from "./response-inspector.ts";
import type { Call } from "./message.ts";

/** What policy wants to see of an answer. */
export function inspectionOf(
  app: PlanDeps & { readonly switches: Switches } & Pick<HashDeps, "digest"> & Clock,
  about: {
    readonly caller: Caller;
    readonly upstream: Upstream;
    readonly call: Call;
    readonly decision: PolicyDecision;
    readonly status: number;
  },
): Inspection {
  // A stream lives for hours: of the call only what is needed for its answer is kept with it.
  const { call, decision, status } = about;
  const { id, isModern } = call;
  // In MCP before 2026-07-28 an answer may come on any stream that a client opens with GET.
  const isList = call.httpMethod === "GET" || call.rpcMethods.includes("tools/list");
  const isTool = call.toolCalls.length === 1;
  return {
    caller: about.caller.key,
    id: expectedBy(call),
    status,
    screen: isList ? screenOf(app, about) : undefined,
    ended: isTool ? outcomeNoter(app, decision, { id, isModern, status }) : undefined,
  };
}

/** A batch has several; what comes on a stream that was opened with GET may answer whatever was asked elsewhere. */
function expectedBy({ httpMethod, rpcMethod, id }: Call): Expected {
  if (httpMethod !== "POST" || rpcMethod === "batch") return null;
  return id ?? nobody;
}

type Clock = { readonly now: () => Date };

function screenOf(
  app: Parameters<typeof screened>[0],
  { caller, upstream, call }: { caller: Caller; upstream: Upstream; call: Call },
): Inspection["screen"] {
  const from = call.rpcMethod === "tools/list" ? { cursor: call.cursor } : "unknown";
  const owner = { caller, upstream, from } as const;
  return (json) => screened(app, owner, json);
}

/** A call of a tool that brought no answer is a failure of it, whoever's fault it was. */
export function noteFailure(
  app: Clock,
  decision: PolicyDecision,
  { tools }: CallContext,
  error: unknown,
): void {
  const { code } = asFailure(error);
  if (tools.length !== 1 || !code.startsWith("upstream_")) return;
  const outcome = { result: code, isError: true, asksFirst: false };
  decision.ended(outcome, "", app.now().getTime());
}

/**
 * Notes how a call of a tool ended, by the last message of its answer and the size of all of it. Not where the answer
 * is none: accepted, and answered elsewhere (MCP 2024-11-05), or broken off.
 */
function outcomeNoter(
  app: Pick<HashDeps, "digest"> & Clock,
  decision: PolicyDecision,
  { id, isModern, status }: { id: RpcId; isModern: boolean; status: number },
): NonNullable<Inspection["ended"]> {
  return (last, size) => {
    const rest = withoutId(last, id);
    if (rest === undefined && status < 400) return;
    // What the client has called it says nothing about how it went.
    const said = rest ?? last;
    const digest = app.digest(said);
    const outcome = {
      // What was cut off is known by its length, too.
      result: last.length < mostTold ? digest : `${size} ${digest}`,
      isError: status >= 400 || saysFailure(said),
      asksFirst: isModern && last.includes('"input_required"') && asksFirst(last),
    };
    decision.ended(outcome, said, app.now().getTime());
  };
}

function saysFailure(message: Buffer): boolean {
  if (holdsTrue(message, isErrorKey)) return true;
  return message.includes(errorKey) && !message.includes(resultKey);
}

const isErrorKey = Buffer.from('"isError"');
const errorKey = Buffer.from('"error"');
const resultKey = Buffer.from('"result"');

/** Whether a key stands with `true`; nothing is decoded. */
function holdsTrue(message: Buffer, key: Buffer): boolean {
  let at = message.indexOf(key);
  while (at !== -1) {
    const colon = behindBlanks(message, at + key.length);
    const value = message[colon] === 0x3a ? behindBlanks(message, colon + 1) : message.length;
    if (standsAt(message, value, "true")) return true;
    at = message.indexOf(key, at + key.length);
  }
  return false;
}

function behindBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while (blanks.has(bytes[at] ?? 0)) at += 1;
  return at;
}

/** Of JSON (RFC 8259 section 2). */
const blanks = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Whether the upstream wants to know something before it does anything (MCP 2026-07-28). */
function asksFirst(json: Buffer): boolean {
  try {
    const message: unknown = JSON.parse(json.toString());
    const result = isObject(message) ? message["result"] : undefined;
    return isObject(result) && result["resultType"] === "input_required";
  } catch {
    return false;
  }
}
