import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { type FailureCode, Failure } from "#src/failure.ts";
import { LostAfterSending, isUntrusted, placeOf, reasonOf } from "#src/http/reason.ts";
import type { Cancel } from "#src/http/cancel.ts";
import { decoded } from "#src/http/decoding.ts";
import { type Exchange, type Incoming, discard } from "#src/http/exchange.ts";
import { ResponseBroken } from "#src/http/response-parser.ts";
import type { Deadline } from "./deadlines.ts";
import type { ConnectCheck } from "./connect-check.ts";

export type ForwardDeps = Pick<App, "config"> & {
  readonly reach: ConnectCheck;
  readonly exchange: Exchange;
};

export type Outgoing = {
  readonly upstream: Upstream;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly httpMethod: string;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  /** Ends the exchange with the upstream; tied to the client's connection by the caller. */
  readonly cancel: Cancel;
  readonly deadline: Deadline;
  /** Whether it may be sent once more when nothing of an answer has come. */
  readonly isRepeatable: () => boolean;
};

/**
 * Sends one call; what changes nothing once more, on a connection of its own, when nothing of an answer has come.
 * Failures: `upstream_unreachable`, `upstream_broke_off`, `upstream_timeout`, `upstream_redirected`, `upstream_invalid`,
 * `client_left`.
 */
export async function forward(app: ForwardDeps, outgoing: Outgoing): Promise<Incoming> {
  const { upstream, url, headers, httpMethod: method, body, cancel, deadline } = outgoing;
  const reaching = reached(app, upstream);
  if (reaching !== undefined) await reaching;
  // A GET opens a stream that may have nothing to say for hours.
  if (method !== "GET") {
    deadline.set(app.config.upstreamLimits.firstByteMs, cancel);
  }
  try {
    const request = { url, method, headers, body, cancel };
    const answer = await app.exchange(request).catch((error: unknown) => {
      if (!mayRepeat(error, outgoing)) throw error;
      return app.exchange({ ...request, isFresh: true });
    });
    app.reach.answered(upstream);
    const isRedirect = answer.status >= 300 && answer.status < 400;
    const plain = isRedirect ? undefined : decoded(answer);
    if (plain !== undefined) return plain;
    // The head is gone once the body is.
    const failure = unusable(answer, isRedirect, url);
    discard(answer);
    throw failure;
  } catch (error) {
    const failure = failureOf(error, cancel);
    if (failure.code !== "client_left") app.reach.failed(upstream, failure.code);
    throw failure;
  } finally {
    deadline.lift();
  }
}

/** A connection that was kept may end just when it is used again. */
function mayRepeat(error: unknown, { cancel, isRepeatable }: Outgoing): boolean {
  if (!(error instanceof LostAfterSending) || cancel.isCancelled) return false;
  return error.isUnsent || (!error.hasBegun && isRepeatable());
}

function reached({ reach }: ForwardDeps, upstream: Upstream): Promise<void> | undefined {
  return reach.expect(upstream)?.catch((error: unknown) => {
    if (error instanceof Failure) reach.failed(upstream, error.code);
    throw error;
  });
}

function failureOf(error: unknown, cancel: Cancel): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof ResponseBroken) {
    const about = { reason: error.message, isSent: true };
    return new Failure("upstream_invalid", error.message, about);
  }
  if (cancel.isLate)
    return failed("upstream_timeout", "no head of an answer within the limit", true);
  // Nobody reads the answer; the log must not blame the upstream.
  if (cancel.isCancelled) return new Failure("client_left");
  if (error instanceof LostAfterSending && !error.isUnsent) {
    return failed("upstream_broke_off", error.reason, true);
  }
  const reason = error instanceof LostAfterSending ? error.reason : reasonOf(error);
  if (!isUntrusted(error)) return failed("upstream_unreachable", reason);
  const message = "The certificate of the MCP server is not trusted by this gateway.";
  const hint =
    "Set NODE_EXTRA_CA_CERTS to a PEM file with its authority, or renew its certificate.";
  return new Failure("upstream_unreachable", message, { reason, hint });
}

function unusable({ headers }: Incoming, isRedirect: boolean, url: string): Failure {
  if (isRedirect)
    return failed("upstream_redirected", `to ${placeOf(headers.get("location"), url)}`, true);
  const [coding = "an unreadable name"] =
    /^[a-z0-9-]{1,20}$/i.exec(headers.get("content-encoding") ?? "") ?? [];
  return failed("upstream_invalid", `encoded as ${coding}`, true);
}

function failed(code: FailureCode, reason: string, isSent = false): Failure {
  return new Failure(code, undefined, { reason, isSent });
}
