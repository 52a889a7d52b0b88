import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { oauthErrors } from "#src/failure/failures.ts";
import { withinAbout } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";

type Deps = Pick<App, "log">;

/** Longer than a client's keys may take to be fetched. */
const longestMs = 15_000;

/** What OAuth endpoints answer to programs: JSON, never kept by anybody (RFC 6749 section 5.1). */
export async function oauthAnswer(
  app: Deps,
  asked: { request: Request; requestId: string; status?: number },
  work: () => Promise<unknown>,
): Promise<Response> {
  const headers: Record<string, string> = {
    "cache-control": "no-store",
    pragma: "no-cache",
    "x-request-id": asked.requestId,
  };
  try {
    // What was asked may still happen: an answer that advises to ask again would make a code look replayed.
    const late = () => new Failure("database_unavailable", "There was no answer in time");
    const body = await withinAbout(longestMs, work(), late);
    const status = asked.status ?? 200;
    if (body === undefined) return new Response(null, { status, headers });
    headers["content-type"] = "application/json";
    return new Response(JSON.stringify(body), { status, headers });
  } catch (error) {
    const failure = asFailure(error);
    const { requestId } = asked;
    if (failure.code === "internal")
      app.log.error("internal", { requestId, ...errorFields(error) });
    else app.log.info("oauth_refused", { requestId, code: failure.code, why: failure.message });
    return refusal(failure, asked.request, headers);
  }
}

/** RFC 6749 section 5.2: `invalid_client` is 401, everything else that OAuth has a word for is 400. */
function refusal(
  failure: Failure,
  request: Request,
  headers: Readonly<Record<string, string>>,
): Response {
  const { code, details, message, meaning } = failure;
  const isWord = Object.hasOwn(oauthErrors, code);
  const status = isWord && code !== "invalid_client" ? 400 : meaning.http;
  const more: Record<string, string> = { ...headers };
  if (details.retryAfterSeconds !== undefined)
    more["retry-after"] = String(details.retryAfterSeconds);
  if (code === "invalid_client" && request.headers.has("authorization")) {
    more["www-authenticate"] = 'Basic realm="smartdash"';
  }
  const body = {
    error: isWord ? code : wordFor(meaning.http),
    error_description: message,
    ...(isWord ? {} : { code }),
  };
  return Response.json(body, { status, headers: more });
}

function wordFor(status: number): string {
  if (status === 503 || status === 429) return "temporarily_unavailable";
  return status >= 500 ? "server_error" : "invalid_request";
}
