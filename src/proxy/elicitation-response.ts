import { randomUUID } from "node:crypto";
import type { Failure, FailureCode } from "#src/failure.ts";
import type { Call } from "./message.ts";
import { ownQuestions } from "./elicitation-state.ts";
import type { McpExchange } from "./mcp-exchange.ts";

const urlElicitationRequired = -32_042;
const answersQuestions = new Set(["tools/call", "prompts/get", "resources/read"]);

/** Failures that a person puts right behind a link, with the name of our question about it. */
const questions: Partial<Record<FailureCode, string>> = {
  reconnect_needed: ownQuestions.reconnect,
  approval_needed: ownQuestions.approve,
};

/** What a model should read as the result of its tool, so that it can go on with something else. */
const results = new Set<FailureCode>([
  "approval_needed",
  "approval_refused",
  "loop_noticed",
  "reconnect_needed",
  "tool_held",
  "tool_refused",
]);

/**
 * A failure in the words that MCP has for it: a question with a link (2026-07-28, where the client opens links),
 * the error -32042 (2025-11-25), else a tool result. Undefined where MCP has no such words.
 * A link is no login; whoever opens it is checked there.
 */
export function answerInWords(
  call: Call | undefined,
  version: string | null,
  { failure, mayHaveActed }: { readonly failure: Failure; readonly mayHaveActed: boolean },
): Readonly<Record<string, unknown>> | undefined {
  if (call?.id == null) return undefined;
  const words =
    withLink(call, version, failure) ??
    (mayHaveActed || results.has(failure.code) ? asToolResult(call, failure) : undefined);
  return words === undefined ? undefined : { jsonrpc: "2.0", id: call.id, ...words };
}

function withLink(call: Call, version: string | null, { code, details, message }: Failure) {
  const { link, state } = details;
  const name = questions[code];
  if (link === undefined || name === undefined) return undefined;
  if (!answersQuestions.has(call.rpcMethod ?? "")) return undefined;
  const question = { mode: "url", url: link, message, elicitationId: randomUUID() };
  if (call.isModern && call.opensLinks) {
    const inputRequests = { [name]: { method: "elicitation/create", params: question } };
    const kept = state === undefined ? {} : { requestState: state };
    return { result: { resultType: "input_required", inputRequests, ...kept } };
  }
  if (version !== "2025-11-25") return undefined;
  const data = { elicitations: [question] };
  return { error: { code: urlElicitationRequired, message, data } };
}

function asToolResult(call: Call, { code, details, message }: Failure) {
  if (call.rpcMethod !== "tools/call") return undefined;
  const { link: url, retryAfterSeconds } = details;
  if (code === "reconnect_needed" && url === undefined) return undefined;
  const text = url === undefined || message.includes(url) ? message : `${message} ${url}`;
  const about = {
    code,
    ...(url === undefined ? {} : { url }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
  return { result: failedResult(text, about, call.isModern) };
}

const unknown = "Whether the call had an effect is not known; look before you repeat it.";

/** What is told of a call that had gone out when it failed. */
export function withEffect(message: string): string {
  return message.includes(unknown) ? message : `${message} ${unknown}`;
}

/** Whether a tool may have done its work although the call failed. A server that answers 401 has not begun. */
export function mayHaveActed(
  { call, upstreamStatus }: Pick<McpExchange, "call" | "upstreamStatus">,
  { details }: Failure,
): boolean {
  if (call === undefined || call.toolCalls.length === 0) return false;
  const isAnswered = upstreamStatus !== undefined && upstreamStatus !== 401;
  return isAnswered || details.isSent === true;
}

/** The result of a tool that failed, as a model reads it. */
export function failedResult(
  text: string,
  about: { readonly code: string; readonly url?: string; readonly retryAfterSeconds?: number },
  isModern: boolean,
) {
  return {
    ...(isModern ? { resultType: "complete" } : {}),
    content: [{ type: "text", text }],
    isError: true,
    _meta: { "smartdash/failure": about },
  };
}
