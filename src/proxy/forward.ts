import { millisecondsOf, type Deadline, type Cancel } from "#src/clock.ts";
import type { App } from "#src/app.ts";
import type { ToolServers } from "#src/upstreams/tools/tool-servers.ts";
import { type Upstream, insideScheme } from "#src/upstreams/upstream.ts";
import { type FailureCode, Failure, asFailure } from "#src/failure.ts";
import { LostAfterSending, isUntrusted, placeOf, reasonOf } from "#src/http/reason.ts";
import { type Exchange, type Incoming, type OutgoingRequest, discard } from "#src/http/exchange.ts";
import { decoded } from "#src/http/decoding.ts";
import { ResponseBroken, targetOf } from "#src/http/http1.ts";
import { connect } from "node:net";
import { createCache } from "#src/cache.ts";

export type ForwardDeps = Pick<App, "config"> & {
  readonly connectCheck: ConnectCheck;
  readonly exchange: Exchange;
  readonly toolServers: ToolServers;
};

type Sending = {
  readonly upstream: Upstream;
  readonly deadline: Deadline;
  /** Whether it may be sent once more when nothing of an answer has come. */
  readonly isRepeatable: () => boolean;
};

/**
 * Sends one call; what changes nothing once more, on a connection of its own, when nothing of an answer has come.
 * Failures: `upstream_unreachable`, `upstream_broke_off`, `upstream_timeout`, `upstream_redirected`, `upstream_invalid`,
 * `client_left`.
 */
export async function forward(
  app: ForwardDeps,
  request: OutgoingRequest,
  about: Sending,
): Promise<Incoming> {
  const { method, url, cancel } = request;
  const { upstream, deadline } = about;
  const reaching = reached(app, upstream);
  if (reaching !== undefined) await reaching;
  // A GET opens a stream that may have nothing to say for hours.
  if (method !== "GET") {
    deadline.set(app.config.upstreamLimits.firstByteMs, cancel);
  }
  try {
    const exchange = exchangeOf(app, upstream);
    let answer: Incoming;
    try {
      answer = await exchange(request);
    } catch (error) {
      answer = await repeated(error, exchange, request, about);
    }
    app.connectCheck.answered(upstream);
    const isRedirect = answer.status >= 300 && answer.status < 400;
    const plain = isRedirect ? undefined : plainOf(answer);
    if (plain !== undefined) return plain;
    // The head is gone once the body is.
    const failure = unusable(answer, isRedirect, url);
    discard(answer);
    throw failure;
  } catch (error) {
    const failure = failureOf(error, cancel);
    if (failure.code !== "client_left") app.connectCheck.failed(upstream, failure.code);
    throw failure;
  } finally {
    deadline.lift();
  }
}

/** Most answers are not compressed. */
function plainOf(answer: Incoming): Incoming | undefined {
  return typeof answer.headers.get("content-encoding") === "string" ? decoded(answer) : answer;
}

/** Sends it once more, where it may be. */
function repeated(
  error: unknown,
  exchange: Exchange,
  request: OutgoingRequest,
  { isRepeatable }: Sending,
): Promise<Incoming> {
  if (!mayRepeat(error, request.cancel, isRepeatable)) throw error;
  return exchange({ ...request, isFresh: true });
}

/** An API has its MCP server in this process. */
function exchangeOf({ exchange, toolServers }: ForwardDeps, upstream: Upstream): Exchange {
  return upstream.pack === undefined
    ? exchange
    : (request) => toolServers.exchange(upstream, request);
}

/** A connection that was kept may end just when it is used again. */
function mayRepeat(error: unknown, cancel: Cancel, isRepeatable: () => boolean): boolean {
  if (!(error instanceof LostAfterSending) || cancel.isCancelled) return false;
  return error.isUnsent || (!error.hasBegun && isRepeatable());
}

function reached({ connectCheck }: ForwardDeps, upstream: Upstream): Promise<void> | undefined {
  return connectCheck.expect(upstream)?.catch((error: unknown) => {
    if (error instanceof Failure) connectCheck.failed(upstream, error.code);
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

/** Whether an upstream can be connected to at all; asked only after it was silent for a while. */
export type ConnectCheck = {
  /** Failures: `upstream_timeout`, `upstream_unreachable`. */
  expect(upstream: Upstream): Promise<void> | undefined;
  answered(upstream: Upstream): void;
  failed(upstream: Upstream, code: FailureCode): void;
  /** The upstreams whose last exchange of the last five minutes failed, with the code of the failure. */
  failing(): ReadonlyMap<string, FailureCode>;
  /** The same as a code, `pass` or that of the failure; asked once in five seconds, whoever wants to know. */
  state(upstream: Upstream): Promise<string>;
  /** When the upstream last answered anything, in milliseconds; undefined when it never did. */
  lastAnswer(upstream: Upstream): number | undefined;
};

const trustMs = 30_000;
const failingMs = 5 * 60_000;

/** An exchange has no limit of its own for connecting, and the limit for an answer is far too long for that. */
export function createConnectCheck(
  app: Pick<App, "config" | "now" | "singleFlight">,
): ConnectCheck {
  const answeredAt = new Map<string, number>();
  const failedAt = new Map<string, { readonly at: number; readonly code: FailureCode }>();
  const now = millisecondsOf(app);
  const states = createCache<string>({ freshMs: 5000, staleMs: 0, size: 1000, now });
  const expect = ({ name, url }: Upstream) => {
    const last = answeredAt.get(name);
    if (app.config.usesProxy || url.startsWith(insideScheme)) return undefined;
    if (last !== undefined && now() - last < trustMs) return undefined;
    return app.singleFlight(`reach ${name}`, () => knock(url, app.config.upstreamLimits.connectMs));
  };
  const stateOf = async (upstream: Upstream) => {
    try {
      await expect(upstream);
      return "pass";
    } catch (error) {
      return asFailure(error).code;
    }
  };
  return {
    expect,
    state: async (upstream) => (await states.get(upstream.name, () => stateOf(upstream))) ?? "pass",
    answered({ name }) {
      answeredAt.set(name, now());
      if (failedAt.size > 0) failedAt.delete(name);
    },
    failed: ({ name }, code) => void failedAt.set(name, { at: now(), code }),
    failing() {
      const recent = [...failedAt].filter(([, { at }]) => now() - at < failingMs);
      return new Map(recent.map(([name, { code }]) => [name, code]));
    },
    lastAnswer: ({ name }) => answeredAt.get(name),
  };
}

async function knock(url: string, limitMs: number): Promise<void> {
  const { hostname: host, port } = targetOf(url);
  const socket = connect({ host, port });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(limitMs, () =>
        reject(
          new Failure("upstream_timeout", "No connection within the limit", {
            reason: "no connection within the limit",
          }),
        ),
      );
      socket.once("connect", () => resolve());
      socket.once("error", (error) => {
        reject(new Failure("upstream_unreachable", undefined, { reason: reasonOf(error) }));
      });
    });
  } finally {
    socket.destroy();
  }
}
