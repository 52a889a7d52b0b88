import { randomUUID } from "node:crypto";
import type { Failure } from "#src/failure.ts";
import { type Call, ownQuestion } from "./message.ts";

const urlElicitationRequired = -32_042;
const answersQuestions = new Set(["tools/call", "prompts/get", "resources/read"]);

/**
 * How a client is told that its person has to connect the account again, in the words its revision of MCP
 * has for it: a question with a link (2026-07-28, where the client opens links), the error -32042
 * (2025-11-25), a tool result with the link (everybody else). Undefined where MCP has no such words.
 * The link is no login; whoever opens it is checked there.
 */
export function relinkAnswer(
  call: Call | undefined,
  version: string | null,
  failure: Failure,
): Readonly<Record<string, unknown>> | undefined {
  const { link } = failure.details;
  if (link === undefined || call?.id == null) return undefined;
  if (!answersQuestions.has(call.rpcMethod ?? "")) return undefined;
  const { message } = failure;
  const base = { jsonrpc: "2.0", id: call.id };
  const question = { mode: "url", url: link, message, elicitationId: randomUUID() };
  if (call.isModern && call.opensLinks) {
    const ask = { method: "elicitation/create", params: question };
    const inputRequests = { [ownQuestion]: ask };
    return { ...base, result: { resultType: "input_required", inputRequests } };
  }
  if (version === "2025-11-25") {
    const data = { elicitations: [question] };
    return { ...base, error: { code: urlElicitationRequired, message, data } };
  }
  if (call.rpcMethod !== "tools/call") return undefined;
  const modern = call.isModern ? { resultType: "complete" } : {};
  const _meta = { "smartdash/failure": { code: failure.code, url: link } };
  const content = [{ type: "text", text: message }];
  return { ...base, result: { ...modern, content, isError: true, _meta } };
}
