import { randomUUID } from "node:crypto";
import type { Failure, FailureCode } from "#src/failure.ts";
import { failedResult } from "./effect.ts";
import type { Call } from "./message.ts";
import { ownQuestions } from "./elicitation-state.ts";

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
