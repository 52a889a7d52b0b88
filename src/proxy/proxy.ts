import type { Caller, CallerDeps } from "#src/oauth-server/caller.ts";
import type { Held } from "#src/accounts/credential.ts";
import { reconnect } from "#src/accounts/refresh/failures.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import type { App } from "#src/app.ts";
import type { Cache } from "#src/cache.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure } from "#src/failure.ts";
import { type Settled, bigBytes, type BodyPlace } from "#src/http/body.ts";
import { step, turn } from "#src/http/event-loop.ts";
import { type Incoming, discard } from "#src/http/exchange.ts";
import { Cancel, type Deadline, type Deadlines } from "#src/clock.ts";
import { readRetryAfter } from "#src/http/reason.ts";
import { type CallContext, type HashDeps, invocationsOf, planFor } from "#src/policy/plan.ts";
import {
  type PolicyDecision,
  type PolicyDeps,
  admit,
  admitWaiting,
  countUnusable,
  decide,
} from "#src/policy/guard.ts";
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
import { endpointOf, endpointParameter, endpointRewriter } from "./binding.ts";
import { type ForwardDeps, forward } from "./forward.ts";
import { deliver } from "./deliver.ts";
import { headersIn, checkHeaders, checkMirrors } from "./headers.ts";
import { type OpenStreams, expectStill } from "./open-streams.ts";
import type { McpExchange } from "./mcp-exchange.ts";
import { type Call, isBig, readCall } from "./message.ts";
import { isRepeatable } from "./repeatable.ts";
import type { Reader } from "./stream.ts";
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
    readonly openStreams: OpenStreams;
    readonly databaseWatch: DatabaseWatch;
    /** Which generation of an account's credential an upstream refused although it was fresh. */
    readonly refused: Cache<number>;
  };

/**
 * JOURNEY 3: an agent's call is proxied. The agent's bearer is swapped for the account's credential;
 * a 401 of the upstream leads to exactly one refresh and one retry.
 * Failures: those of each of its steps.
 */
export async function proxyCall(
  app: ProxyDeps,
  request: Request,
  exchange: McpExchange,
  authorization: string | null,
): Promise<Response> {
  const { upstream } = exchange;
  const proven = bearerOf(app, authorization, upstream);
  const caller = proven instanceof Promise ? await proven : proven;
  const context = contextOf(app, request, exchange, caller);
  exchange.context = context;
  // Permission before work. A small message costs next to nothing, and is answered with its own id.
  let leave = isBigRequest(request) ? admit(app, context) : undefined;
  const place = app.bodyRoom.enter(caller.key);
  try {
    await step();
    const read = readBody(app, request, context, place);
    const call = read instanceof Promise ? await waitedFor(app, context, read, leave) : read;
    exchange.call = call;
    await step();
    // What has changed while the body was on its way counts.
    renewPlan(app, context);
    leave ??= admit(app, context);
    if (app.tracing !== undefined) beginSpan(app.tracing, request, exchange, call);
    checkScopes(caller, call.rpcMethods);
    checkHeaders(request, call);
    context.methods = call.rpcMethods;
    context.tools = invocationsOf(app, context.plan, call.toolCalls);
    if (isBig(call.body)) await turn();
    const decided = decide(app, context, call.ownState);
    const decision = decided instanceof Promise ? await decided : decided;
    exchange.decision = decision;
    if (decided instanceof Promise) expectStill(app, context, exchange.startedAt);
    settle(context, call.body);
    await step();
    return await send(app, request, exchange, { call, context, decision });
  } finally {
    place.leave();
    leave?.();
  }
}

/** Before its body was read nothing is known of its messages. */
function contextOf(
  app: ProxyDeps,
  { method }: Request,
  { upstream, address, startedAt: at }: McpExchange,
  caller: Caller,
): CallContext {
  const plan = planFor(app, caller, upstream, at);
  return { caller, upstream, httpMethod: method, address, plan, at, methods: none, tools: none };
}

const none: readonly never[] = [];

/** Also when it does not say. */
function isBigRequest({ method, headers }: Request): boolean {
  return method === "POST" && Number(headers.get("content-length") ?? bigBytes) >= bigBytes;
}

function readBody(
  app: ProxyDeps,
  request: Request,
  context: CallContext,
  room: BodyPlace,
): Call | Promise<Call> {
  try {
    const read = readCall(request, { room, settled: app.settled });
    return read instanceof Promise ? orUnusable(app, context, read) : read;
  } catch (error) {
    return unusable(app, context, error);
  }
}

async function orUnusable(
  app: ProxyDeps,
  context: CallContext,
  read: Promise<Call>,
): Promise<Call> {
  try {
    return await read;
  } catch (error) {
    return unusable(app, context, error);
  }
}

function unusable(app: ProxyDeps, context: CallContext, error: unknown): never {
  renewPlan(app, context);
  countUnusable(app, context);
  throw error;
}

/** A small body that has not come holds a place, as a big one does already. */
async function waitedFor(
  app: ProxyDeps,
  context: CallContext,
  read: Promise<Call>,
  leaveBig: (() => void) | undefined,
): Promise<Call> {
  if (leaveBig !== undefined) return await read;
  // Whether it may wait is said without it.
  read.catch(() => undefined);
  const leave = admitWaiting(app, context);
  try {
    return await read;
  } finally {
    leave();
  }
}

/** The plan and the clock of a request whose body has come: that may have taken half a minute. */
function renewPlan(app: ProxyDeps, context: CallContext): void {
  context.at = app.now().getTime();
  context.plan = planFor(app, context.caller, context.upstream, context.at);
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

/** What policy has looked at is not needed while the upstream works; only of a small call it is kept until its end. */
function settle({ tools }: CallContext, body: Call["body"]): void {
  if (isBig(body)) for (const tool of tools) tool.settle();
}

type Decided = {
  readonly call: Call;
  readonly context: CallContext;
  readonly decision: PolicyDecision;
};

/** What policy has let through, with the account's credential. */
async function send(
  app: ProxyDeps,
  request: Request,
  exchange: McpExchange,
  { call, context, decision }: Decided,
): Promise<Response> {
  const { upstream, requestId } = exchange;
  const { caller } = context;
  const known = upstreamAuthNow(app, caller, upstream);
  const auth = known ?? (await upstreamAuthFor(app, caller, { upstream, requestId }));
  if (known === undefined) expectStill(app, context, exchange.startedAt);
  const cancel = new Cancel();
  const url = urlFor(app, request, context);
  const watch = new ClientWatch(app.deadlines, request, cancel);
  const { deadline } = watch;
  const sendWith = ({ headers: credential }: UpstreamAuth) => {
    const headers = withTrace(headersIn(app, request, context.plan, credential), exchange, call);
    if (!call.isModern) checkMirrors(headers, call);
    const outgoing = { url, method: call.httpMethod, headers, body: call.body, cancel };
    const mayRepeat = () => isRepeatable(call, context.tools);
    return forward(app, outgoing, { upstream, deadline, isRepeatable: mayRepeat });
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
    const delivered = deliver(app, answer, {
      cancel,
      deadline,
      requestId,
      startedAt: exchange.startedAt,
      reader: readerOf(call),
      inspection: inspectionOf(app, { context, call, decision, status: answer.status }),
      decision,
      context,
      endpoint: isPlainGet(request) ? endpointRewriter(app, request, context) : undefined,
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

/** The upstream's address, or the message endpoint that it gave this caller. */
function urlFor(app: ProxyDeps, request: Request, context: CallContext): string {
  const isBound = request.url.includes(`?${endpointParameter}=`);
  return isBound ? endpointOf(app, request, context) : context.upstream.url;
}

/** Only the stream of an MCP 2024-11-05 client begins without a session. */
function isPlainGet({ method, headers }: Request): boolean {
  return method === "GET" && !headers.has("mcp-session-id");
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

/** After a 401: one renewal and one more try, unless a renewal would not help. Failures: `reconnect_needed`. */
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
  expectStill(app, refused.context, exchange.startedAt);
  const second = await send(renewed);
  exchange.upstreamStatus = second.status;
  if (second.status !== 401) return second;
  discard(second);
  // Another refresh would not help, and one for each call would be a loop.
  if (renewed.held !== undefined) app.refused.put(place, renewed.held.generation);
  throw reconnect(app, held);
}
