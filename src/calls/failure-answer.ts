import type { App } from "#src/app.ts";
import type { Failure } from "#src/failure.ts";
import type { RpcId } from "./message.ts";

const internalError = -32603;

type Context = {
  readonly requestId: string;
  readonly id: RpcId;
  /** The MCP address that was asked, for the challenge. */
  readonly path: string;
};

/**
 * A failure as a JSON-RPC error that a model, a person and a program can each use: words with what to do,
 * a stable code, a link. 401 carries the challenge of RFC 9728 section 5.1.
 */
export function failureAnswer(
  app: Pick<App, "publicUrl">,
  failure: Failure,
  context: Context,
): Response {
  const { code, details, meaning, message } = failure;
  const { hint, link, retryAfterSeconds } = details;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-request-id": context.requestId,
  };
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
  if (meaning.http === 401) headers["www-authenticate"] = challenge(app, failure, context.path);
  if (code === "method_not_allowed")
    headers["allow"] = context.path.endsWith("/health") ? "GET, HEAD" : "GET, POST, DELETE";
  const data = { code, hint, url: link, retryAfterSeconds, requestId: context.requestId };
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

function challenge(app: Pick<App, "publicUrl">, failure: Failure, path: string): string {
  const metadata = `resource_metadata="${app.publicUrl}/.well-known/oauth-protected-resource${path}"`;
  if (failure.code === "bearer_missing") return `Bearer ${metadata}`;
  return `Bearer error="invalid_token", error_description="The bearer is unknown, expired or ended", ${metadata}`;
}
