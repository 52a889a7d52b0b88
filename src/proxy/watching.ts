import { hash } from "node:crypto";
import type { Caller } from "#src/agents/caller.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { isObject } from "#src/config/read.ts";
import { tagOf } from "#src/crypto/secret.ts";
import { asFailure } from "#src/failure.ts";
import { type Deed, ToolUse } from "#src/policy/deed.ts";
import type { Passed } from "#src/policy/guard.ts";
import type { Switches } from "#src/policy/switches.ts";
import type { Definitions } from "#src/policy/tools/definitions.ts";
import { withoutId } from "./answer-id.ts";
import { type Watching, mostTold } from "./answer-watch.ts";
import type { Call } from "./message.ts";
import type { Exchange } from "./proxy.ts";
import { screened } from "./tool-lists.ts";

/** What guards know about a call, before it is made. */
export function deedOf(
  app: Pick<App, "bindingKey">,
  { upstream, address }: Pick<Exchange, "upstream" | "address">,
  { caller, call }: { readonly caller: Caller; readonly call: Call },
): Deed {
  const tools = call.toolCalls.map(
    ({ name, written }) => new ToolUse(name, written, tagFor(app, upstream, name)),
  );
  const { httpMethod, rpcMethods: methods } = call;
  return { caller, upstream, httpMethod, methods, tools, address };
}

function tagFor(
  { bindingKey }: Pick<App, "bindingKey">,
  { name: upstream }: Upstream,
  tool: string,
) {
  return (kind: "call" | "request", text: string) =>
    tagOf(bindingKey, `${kind}:${JSON.stringify([upstream, tool])}${text}`);
}

/** What guards want to see of an answer. */
export function watchingOf(
  app: { readonly definitions: Definitions; readonly switches: Switches },
  about: {
    readonly caller: Caller;
    readonly upstream: Upstream;
    readonly call: Call;
    readonly passed: Passed;
    readonly status: number;
  },
): Watching {
  const { call, passed, status } = about;
  // In MCP before 2026-07-28 an answer may come on any stream that a client opens with GET.
  const isList = call.httpMethod === "GET" || call.rpcMethods.includes("tools/list");
  const from = call.rpcMethod === "tools/list" ? { cursor: call.cursor } : "unknown";
  const isTool = call.toolCalls.length === 1;
  const note = (last: string, size: number) => {
    const outcome = outcomeOf(call, { last, size, status });
    if (outcome !== undefined) passed.ended(outcome);
  };
  return {
    caller: about.caller.key,
    id: call.httpMethod === "POST" ? call.id : null,
    status,
    screen: isList ? (json) => screened(app, { ...about, from }, json) : undefined,
    ended: isTool ? note : undefined,
  };
}

/** A call of a tool that brought no answer is a failure of it, whoever's fault it was. */
export function noteFailure(passed: Passed, deed: Deed, error: unknown): void {
  const { code } = asFailure(error);
  if (deed.tools.length !== 1 || !code.startsWith("upstream_")) return;
  passed.ended({ result: code, isError: true, asksFirst: false, text: "" });
}

/**
 * How a call ended. Undefined where the answer is none: accepted, and answered elsewhere (MCP 2024-11-05), or
 * broken off.
 */
function outcomeOf(call: Call, answer: { last: string; size: number; status: number }) {
  const { last, size, status } = answer;
  const text = withoutId(last, call.id);
  if (text === undefined && status < 400) return undefined;
  const rest = text ?? last;
  return {
    // What was cut off is known by its length alone.
    result: hash("sha256", last.length < mostTold ? rest : `${size} ${rest}`, "base64url"),
    isError: status >= 400 || saysFailure(rest),
    asksFirst: call.isModern && rest.includes('"input_required"') && asksFirst(last),
    text: rest,
  };
}

function saysFailure(message: string): boolean {
  if (message.includes('"isError"') && /"isError"\s*:\s*true/.test(message)) return true;
  return message.includes('"error"') && !message.includes('"result"');
}

/** Whether the upstream wants to know something before it does anything (MCP 2026-07-28). */
function asksFirst(json: string): boolean {
  try {
    const message: unknown = JSON.parse(json);
    const result = isObject(message) ? message["result"] : undefined;
    return isObject(result) && result["resultType"] === "input_required";
  } catch {
    return false;
  }
}
