import type { Failure } from "#src/failure.ts";
import type { McpExchange } from "./mcp-exchange.ts";

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
