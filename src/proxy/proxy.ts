import type { Caller, CallerDeps } from "#src/oauth-server/caller.ts";
import type { Held } from "#src/accounts/credential.ts";
import { reconnect } from "#src/accounts/refresh/failures.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import type { App } from "#src/app.ts";
import type { Cache } from "#src/cache.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { fromBase64url } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { type Settled, bigBytes, type BodyPlace } from "#src/http/body.ts";
import { step } from "#src/http/event-loop.ts";
import { type Incoming, discard } from "#src/http/exchange.ts";
import { Cancel, type Deadline, type Deadlines } from "#src/clock.ts";
import { placeOf, readRetryAfter } from "#src/http/reason.ts";
import type { CallContext, HashDeps } from "#src/policy/call.ts";
import {
  type Arrival,
  type PolicyDecision,
  type PolicyDeps,
  admit,
  admitWaiting,
  countUnusable,
  decide,
} from "#src/policy/guard.ts";
import { planFor } from "#src/policy/plan.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import type { Tracing } from "#src/telemetry/trace.ts";
import {
  type UpstreamAuth,
  bearerOf,
  checkScopes,
  renewedUpstreamAuth,
  upstreamAuthFor,
  upstreamAuthNow,
} from "./auth.ts";
import { bind, unbind } from "./binding.ts";
import { type ForwardDeps, forward } from "./forward.ts";
import { deliver } from "./deliver.ts";
import { headersIn, checkHeaders, checkMirrors } from "./headers.ts";
import type { Heartbeat, OpenStreams } from "./open-streams.ts";
import type { McpExchange } from "./mcp-exchange.ts";
import { type Call, type ReadCall, isBig, readCall, turn } from "./message.ts";
import { isRepeatable } from "./repeatable.ts";
import type { Reader } from "./stream.ts";
import { contextOf, expectStill, settle } from "./call-context.ts";
import { inspectionOf, noteFailure } from "./inspection.ts";

/** What a call leans on. */
export type ProxyDeps = App &
  CallerDeps &
  RefreshDeps &
  PolicyDeps &
  HashDeps &
  ForwardDeps & {
    readonly deadlines: Deadlines;
    readonly settled: Settled;
    readonly heartbeat: Heartbeat;
    readonly openStreams: OpenStreams;
    readonly databaseWatch: DatabaseWatch;
    /** Which generation of an account's credential an upstream refused although it was fresh. */
    readonly refused: Cache<number>;
  };

/** The name of the query parameter that carries a 2024-11-05 message endpoint. */
const endpointParameter = "sd";

/**
 * JOURNEY 3: an agent's call is proxied. The agent's bearer is swapped for the account's credential;
 * a 401 of the upstream leads to exactly one refresh and one retry.
 * Failures: those of `bearerOf`, `readCall`, `checkScopes`, `upstreamAuthFor` and `forward`.
 */
export async function proxyCall(
  app: ProxyDeps,
  request: Request,
  exchange: McpExchange,
): Promise<Response> {
  const { upstream } = exchange;
  const proven = bearerOf(app, request, upstream);
  const caller = proven instanceof Promise ? await proven : proven;
  exchange.caller = caller;
  const arrival = arrivalOf(app, request, exchange, caller);
  // Permission before work. A small message costs next to nothing, and is answered with its own id.
  let leave = isBigRequest(request) ? admit(app, arrival) : undefined;
  const place = app.bodyRoom.enter(caller.key);
  try {
    await step();
    const read = readArrival(app, request, { arrival, place });
    const isComing = read instanceof Promise;
    const { call, body } = isComing ? await waitedFor(app, arrival, read, leave) : read;
    exchange.call = call;
    await step();
    // What has changed while the body was on its way counts.
    arrived(app, arrival);
    const { plan, at } = arrival;
    leave ??= admit(app, arrival);
    if (app.tracing !== undefined) beginSpan(app.tracing, request, exchange, call);
    checkScopes(caller, call.rpcMethods);
    checkHeaders(request, call);
    const context = contextOf(app, exchange, plan, { call, at });
    exchange.context = context;
    if (isBig(body)) await turn();
    const decided = decide(app, context, call.ownState);
    const decision = decided instanceof Promise ? await decided : decided;
    exchange.decision = decision;
    if (decided instanceof Promise) expectStill(app, exchange, context);
    settle(context, body);
    await step();
    return await send(app, request, { exchange, caller, call, body, context, decision });
  } finally {
    place.leave();
    leave?.();
  }
}

function arrivalOf(
  app: ProxyDeps,
  request: Request,
  { upstream, address, startedAt: at }: McpExchange,
  caller: Caller,
): Arrival {
  const plan = planFor(app, caller, upstream, at);
  return { plan, caller, address, at, httpMethod: request.method, tools: noTools };
}

const noTools: Arrival["tools"] = [];

/** The plan and the clock of a request whose body has come: that may have taken half a minute. */
function arrived(app: ProxyDeps, arrival: Arrival): void {
  arrival.at = app.now().getTime();
  arrival.plan = planFor(app, arrival.caller, arrival.plan.upstream, arrival.at);
}

/** Also when it does not say. */
function isBigRequest({ method, headers }: Request): boolean {
  return method === "POST" && Number(headers.get("content-length") ?? bigBytes) >= bigBytes;
}

/** A small body that has not come holds a place, as a big one does already. */
async function waitedFor(
  app: ProxyDeps,
  arrival: Arrival,
  read: Promise<ReadCall>,
  hasPlace: (() => void) | undefined,
): Promise<ReadCall> {
  if (hasPlace !== undefined) return await read;
  // Whether it may wait is said without it.
  read.catch(() => undefined);
  const leave = admitWaiting(app, arrival);
  try {
    return await read;
  } finally {
    leave();
  }
}

function readArrival(
  app: ProxyDeps,
  request: Request,
  { arrival, place }: { readonly arrival: Arrival; readonly place: BodyPlace },
): ReadCall | Promise<ReadCall> {
  try {
    const read = readCall(request, { room: place, settled: app.settled });
    return read instanceof Promise ? orUnusable(app, arrival, read) : read;
  } catch (error) {
    return unusable(app, arrival, error);
  }
}

async function orUnusable(
  app: ProxyDeps,
  arrival: Arrival,
  read: Promise<ReadCall>,
): Promise<ReadCall> {
  try {
    return await read;
  } catch (error) {
    return unusable(app, arrival, error);
  }
}

function unusable(app: ProxyDeps, arrival: Arrival, error: unknown): never {
  arrived(app, arrival);
  countUnusable(app, arrival);
  throw error;
}

type Decided = {
  readonly exchange: McpExchange;
  readonly caller: Caller;
  readonly call: Call;
  readonly body: ReadCall["body"];
  readonly context: CallContext;
  readonly decision: PolicyDecision;
};

/** What policy has let through, with the account's credential. */
async function send(app: ProxyDeps, request: Request, going: Decided): Promise<Response> {
  const { exchange, caller, call, body, context, decision } = going;
  const { upstream, requestId } = exchange;
  const known = upstreamAuthNow(app, caller, upstream);
  const auth = known ?? (await upstreamAuthFor(app, caller, { upstream, requestId }));
  if (known === undefined) expectStill(app, exchange, context);
  const cancel = new Cancel();
  const owner = { caller, upstream };
  const url = urlFor(app, request, owner);
  const watch = new ClientWatch(app.deadlines, request, cancel);
  const { deadline } = watch;
  const sendWith = ({ headers: credential }: UpstreamAuth) => {
    const headers = withTrace(headersIn(app, request, context.plan, credential), exchange, call);
    if (!call.isModern) checkMirrors(headers, call);
    const { httpMethod } = call;
    return forward(app, {
      upstream,
      url,
      headers,
      httpMethod,
      body,
      cancel,
      deadline,
      isRepeatable: () => isRepeatable(call, context.tools),
    });
  };
  try {
    const first = await sendWith(auth);
    exchange.upstreamStatus = first.status;
    if (first.status < 400) noteTaken(app, auth, upstream);
    const answer =
      first.status === 401
        ? await secondTry(app, exchange, { first, auth, context, send: sendWith })
        : first;
    if (answer.status === 429) {
      decision.punished(readRetryAfter(answer.headers.get("retry-after"), app.now()));
    }
    const isPlainGet = call.httpMethod === "GET" && !request.headers.has("mcp-session-id");
    const delivered = deliver(app, answer, {
      owner,
      cancel,
      deadline,
      requestId,
      startedAt: exchange.startedAt,
      reader: readerOf(call),
      inspection: inspectionOf(app, { caller, upstream, call, decision, status: answer.status }),
      decision,
      context,
      endpoint: isPlainGet ? endpointRewriter(app, request, owner) : undefined,
    });
    // One that is there is not waited for.
    return delivered instanceof Promise ? await delivered : delivered;
  } catch (error) {
    cancel.cancel();
    noteFailure(app, decision, context, error);
    throw error;
  } finally {
    watch.leave();
  }
}

function readerOf({ id, rpcMethod, httpMethod, isModern, toolCalls }: Call): Reader {
  // What a client answers to a question of the server is answered by nobody.
  return {
    id: rpcMethod === undefined ? null : id,
    acts: toolCalls.length > 0,
    isAwaited: httpMethod === "POST",
    canResume: !isModern,
  };
}

/** Of the client's trace, wherever it names it. */
function beginSpan(
  tracing: Tracing,
  { headers }: Request,
  exchange: McpExchange,
  call: Call,
): void {
  exchange.span = tracing.begin("mcp", "server", headers.get("traceparent") ?? call.traceparent);
}

/** Our own span as the parent; without traces, what the client said in `_meta` where it sent no header. */
function withTrace(
  headers: Readonly<Record<string, string>>,
  { span }: McpExchange,
  call: Call,
): Readonly<Record<string, string>> {
  const traceparent = span?.traceparent ?? headers["traceparent"] ?? call.traceparent;
  if (traceparent === undefined || traceparent === headers["traceparent"]) return headers;
  return { ...headers, traceparent };
}

/**
 * A client that goes away takes its exchange with it. Listening for that costs more than most calls take,
 * so it begins with the first tick that finds the call still waiting. Once a body flows, its reader tells.
 */
class ClientWatch {
  readonly deadline: Deadline;
  readonly #request: Request;
  readonly #cancel: Cancel;
  #isListening = false;

  constructor(deadlines: Deadlines, request: Request, cancel: Cancel) {
    this.#request = request;
    this.#cancel = cancel;
    this.deadline = deadlines.open(this);
  }

  tick(): void {
    const { signal } = this.#request;
    if (signal.aborted) return this.#cancel.cancel();
    this.#isListening = true;
    signal.addEventListener("abort", this);
  }

  handleEvent(): void {
    this.#cancel.cancel();
  }

  leave(): void {
    this.deadline.close();
    if (this.#isListening) this.#request.signal.removeEventListener("abort", this);
  }
}

/** A credential that is taken again may die and be renewed again. */
function noteTaken({ refused }: ProxyDeps, { held }: UpstreamAuth, upstream: Upstream): void {
  if (held !== undefined && !refused.isEmpty) refused.forget(placeIn(held, upstream));
}

const placeIn = ({ accountId }: Held, { name }: Upstream) => `${accountId} ${name}`;

type Refused = {
  readonly first: Incoming;
  readonly auth: UpstreamAuth;
  readonly context: CallContext;
  readonly send: (auth: UpstreamAuth) => Promise<Incoming>;
};

async function secondTry(
  app: ProxyDeps,
  exchange: McpExchange,
  refused: Refused,
): Promise<Incoming> {
  const { first, auth, send } = refused;
  discard(first);
  const { held } = auth;
  if (held === undefined)
    throw new Failure("upstream_refuses_credential", undefined, {
      hint: "Check the upstream's key.",
    });
  const place = placeIn(held, exchange.upstream);
  const isKnownRefused = app.refused.fresh(place) === held.generation;
  if (auth.isRenewed || isKnownRefused) throw reconnect(app, held);
  const renewed = await renewedUpstreamAuth(app, held, exchange.requestId);
  expectStill(app, exchange, refused.context);
  const second = await send(renewed);
  exchange.upstreamStatus = second.status;
  if (second.status !== 401) return second;
  discard(second);
  // Another refresh would not help, and one for each call would be a loop.
  if (renewed.held !== undefined) app.refused.put(place, renewed.held.generation);
  throw reconnect(app, held);
}

type Owner = { readonly caller: Caller; readonly upstream: Upstream };

/** The upstream's address, or the message endpoint that it gave this caller. */
function urlFor(app: ProxyDeps, request: Request, owner: Owner): string {
  const mark = request.url.indexOf(`?${endpointParameter}=`);
  if (mark === -1) return owner.upstream.url;
  const bound = new URL(request.url).searchParams.get(endpointParameter) ?? "";
  const place = { ...owner, purpose: "endpoint" as const };
  const path = (fromBase64url(unbind(app, place, bound)) ?? "").toString();
  const url = new URL(owner.upstream.url).origin + path;
  if (!path.startsWith("/") || new URL(url).origin !== new URL(owner.upstream.url).origin) {
    throw new Failure("mcp_session_unknown");
  }
  return url;
}

/** Turns the upstream's message endpoint into one of ours. Failures: `upstream_invalid`. */
function endpointRewriter(app: ProxyDeps, request: Request, owner: Owner) {
  return (endpoint: string): string => {
    const { origin } = new URL(owner.upstream.url);
    // The credential goes there: another origin is not the upstream we were told of.
    const target = URL.canParse(endpoint, origin)
      ? new URL(endpoint, owner.upstream.url)
      : undefined;
    if (target?.origin !== origin) {
      const reason = `its message endpoint is elsewhere: ${placeOf(endpoint, origin)}`;
      throw new Failure("upstream_invalid", undefined, { reason });
    }
    const path = Buffer.from(target.pathname + target.search).toString("base64url");
    return `${new URL(request.url).pathname}?${endpointParameter}=${bind(app, { ...owner, purpose: "endpoint" }, path)}`;
  };
}
