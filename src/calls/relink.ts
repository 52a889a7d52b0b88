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
  const words = wordsFor(call, version, { link, message: failure.message });
  return words === undefined ? undefined : { jsonrpc: "2.0", id: call.id, ...words };
}

function wordsFor(call: Call, version: string | null, told: { link: string; message: string }) {
  const { link, message } = told;
  const question = { mode: "url", url: link, message, elicitationId: randomUUID() };
  if (call.isModern && call.opensLinks) {
    const ask = { method: "elicitation/create", params: question };
    return { result: { resultType: "input_required", inputRequests: { [ownQuestion]: ask } } };
  }
  if (version === "2025-11-25") {
    return { error: { code: urlElicitationRequired, message, data: { elicitations: [question] } } };
  }
  if (call.rpcMethod !== "tools/call") return undefined;
  const modern = call.isModern ? { resultType: "complete" } : {};
  const about = { "smartdash/failure": { code: "reconnect_needed", url: link } };
  return {
    result: { ...modern, content: [{ type: "text", text: message }], isError: true, _meta: about },
  };
}
