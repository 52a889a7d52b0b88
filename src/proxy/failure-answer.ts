import type { Failure } from "#src/failure.ts";
import type { RpcId } from "./rpc-id.ts";

/** JSON-RPC's code for whatever has none of its own. */
export const internalError = -32603;

type Context = {
  readonly requestId: string;
  readonly id: RpcId;
  /** The MCP address that was asked, under the name that the client used, for the challenge. */
  readonly origin: string;
  readonly path: string;
};

/**
 * A failure as a JSON-RPC error that a model, a person and a program can each use: words with what to do,
 * a stable code, a link. 401 carries the challenge of RFC 9728 section 5.1.
 */
export function failureAnswer(failure: Failure, context: Context): Response {
  const { code, details, meaning, message } = failure;
  const { hint, link, retryAfterSeconds } = details;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-request-id": context.requestId,
    ...details.headers,
  };
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
  if (meaning.http === 401 || code === "insufficient_scope") {
    headers["www-authenticate"] = challenge(failure, context);
  }
  if (code === "method_not_allowed")
    headers["allow"] = context.path.endsWith("/health") ? "GET, HEAD" : "GET, POST, DELETE";
  // Where a person gets a new bearer.
  const url = link ?? (meaning.http === 401 ? `${context.origin}/` : undefined);
  const data = { code, hint, url, retryAfterSeconds, requestId: context.requestId };
  const error = {
    code: meaning.rpc ?? internalError,
    message: hint === undefined ? message : `${message} (${hint})`,
    data,
  };
  return new Response(JSON.stringify({ jsonrpc: "2.0", id: context.id, error }), {
    status: meaning.http,
    headers,
  });
}

/** RFC 6750 section 3, RFC 9728 section 5.1. */
function challenge({ code, details }: Failure, { origin, path }: Context): string {
  const metadata = `resource_metadata="${origin}/.well-known/oauth-protected-resource${path}"`;
  if (code === "bearer_missing") return `Bearer ${metadata}`;
  if (code === "insufficient_scope") {
    return `Bearer error="insufficient_scope", error_description="The token lacks a scope that this message needs", scope="${details.scope ?? ""}", ${metadata}`;
  }
  return `Bearer error="invalid_token", error_description="The bearer is unknown, expired, ended or for another address", ${metadata}`;
}
