import { hash } from "node:crypto";
import type { Caller } from "#src/agents/caller.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { asFailure } from "#src/failure.ts";
import type { Deed } from "#src/guards/deed.ts";
import type { Passed } from "#src/guards/guard.ts";
import type { Switches } from "#src/guards/switches.ts";
import type { Definitions } from "#src/guards/tools/definitions.ts";
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
  const tools = call.toolCalls.map((each) => ({ ...each, hash: hashOf(app, upstream, each) }));
  const { httpMethod, rpcMethods: methods } = call;
  return { caller, upstream, httpMethod, methods, tools, address };
}

/** Keyed: short arguments could be guessed from a plain hash. */
function hashOf(
  { bindingKey }: Pick<App, "bindingKey">,
  { name: upstream }: Upstream,
  call: { readonly name: string; readonly canonical: string },
): string {
  const about = JSON.stringify([upstream, call.name, call.canonical]);
  return hash("sha256", `${Buffer.from(bindingKey).toString("latin1")}${about}`, "base64url");
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
  const isTool = call.toolCalls.length === 1;
  return {
    screen: isList ? (json) => screened(app, about, json) : undefined,
    ended: isTool
      ? (last, size) => passed.ended(outcomeOf(call, { last, size, status }))
      : undefined,
  };
}

/** A call of a tool that brought no answer is a failure of it, whoever's fault it was. */
export function noteFailure(passed: Passed, deed: Deed, error: unknown): void {
  const { code } = asFailure(error);
  if (deed.tools.length !== 1 || !code.startsWith("upstream_")) return;
  passed.ended({ result: code, isError: true, asksFirst: false, text: "" });
}

/** The message's id is another one each time; the rest of it is the result. */
function outcomeOf(call: Call, answer: { last: string; size: number; status: number }) {
  const { last, size, status } = answer;
  const text = withoutId(last, JSON.stringify(call.id));
  const isError =
    status >= 400 ||
    (text.includes('"isError"') && /"isError"\s*:\s*true/.test(text)) ||
    (text.includes('"error"') && !text.includes('"result"'));
  return {
    // What was cut off is known by its length alone.
    result: hash("sha256", last.length < mostTold ? text : `${size} ${text}`, "base64url"),
    isError,
    asksFirst: /"resultType"\s*:\s*"input_required"/.test(text),
    text,
  };
}

function withoutId(message: string, id: string): string {
  const at = message.indexOf('"id"');
  const value = message.indexOf(id, at);
  // Between them are a colon and blanks at most.
  if (at === -1 || value === -1 || value > at + 8) return message;
  return message.slice(0, at) + message.slice(value + id.length);
}
