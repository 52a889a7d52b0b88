import type { Caller } from "#src/agents/caller.ts";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { Failure, asFailure, isGuards } from "#src/failure.ts";
import { within } from "#src/once.ts";
import { redact } from "#src/telemetry/redact.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import { chainWith } from "./audit.ts";
import type { Call } from "./message.ts";
import type { Exchange } from "./proxy.ts";
import { type CallRow, type Chain, saveCalls } from "./store.ts";

/** The audit trail, written beside the calls and never in their way. */
export type Recorder = {
  add(exchange: Exchange, status: number): void;
  /** Writes what is waiting, until the database no longer takes it. */
  stop(): Promise<void>;
};

type Recording = Pick<App, "db" | "now" | "log" | "metrics" | "bindingKey">;

const everyMs = 500;
const batchRows = 500;
const mostWaiting = 5000;
const longestName = 200;

/**
 * Up to 1,000 rows a second are stored; beyond 5,000 waiting rows the newest are dropped and counted in the
 * log, which has a line for every call in any case.
 */
export function createRecorder(app: Recording): Recorder {
  const chain = chainWith(app.bindingKey);
  const waiting: CallRow[] = [];
  let [dropped, lost] = [0, 0];
  let running: Promise<boolean> | undefined;
  const timer = setInterval(() => {
    if (waiting.length > 0) void write();
  }, everyMs);

  /** One batch at a time; true when it is stored. */
  function write(): Promise<boolean> {
    running ??= writeBatch().finally(() => {
      running = undefined;
    });
    return running;
  }

  async function writeBatch(): Promise<boolean> {
    const batch = waiting.slice(0, batchRows);
    const outcome = await attempt(app, batch, chain);
    if (outcome !== "later") waiting.splice(0, batch.length);
    if (outcome === "never") dropped += batch.length;
    if (dropped === 0) app.log.over("calls_not_stored", { dropped: lost });
    else app.log.lasting("calls_not_stored", { dropped: lost + dropped });
    lost = dropped === 0 ? 0 : lost + dropped;
    dropped = 0;
    return outcome === "stored";
  }

  return {
    add(exchange, status) {
      const { call, caller, startedAt, failure } = exchange;
      const durationMs = Math.round(app.now().getTime() - startedAt);
      const facts = factsOf(exchange, status, durationMs);
      app.log.redacted(status >= 500 ? "warn" : "info", "call", facts);
      const { upstream, rpcMethod: method } = facts;
      app.metrics.call({ upstream, method, status }, durationMs / 1000);
      if (failure !== undefined && isGuards(failure)) app.metrics.guardRefusal(upstream, failure);
      if (exchange.span !== undefined) endSpan(exchange.span, facts);
      // Calls of nobody (a wrong bearer) are in the log alone: a flood of them must not fill the database.
      if (caller === undefined || call === undefined) return;
      if (waiting.length >= mostWaiting) {
        dropped += 1;
        return;
      }
      waiting.push(rowOf(exchange, facts, { caller, call }));
    },
    async stop() {
      clearInterval(timer);
      while (waiting.length > 0 && (await write()));
    },
  };
}

const databaseLimitMs = 5000;

/** A database that is away may have the batch later; one that refuses it would refuse it again. */
async function attempt(
  app: Pick<App, "db" | "log">,
  batch: readonly CallRow[],
  chain: Chain,
): Promise<"stored" | "later" | "never"> {
  try {
    const late = () => new Failure("database_unavailable");
    await within(databaseLimitMs, saveCalls(app.db, batch, chain), late);
    app.log.over("calls_not_stored_yet");
    return "stored";
  } catch (error) {
    app.log.lasting("calls_not_stored_yet", troubleOf(error));
    return asFailure(error).code === "database_unavailable" ? "later" : "never";
  }
}

/** What the log has of a call, flat; what others have chosen is redacted. */
function factsOf(exchange: Exchange, status: number, durationMs: number) {
  const { call, caller, requestId, upstream, upstreamStatus, failure, decision } = exchange;
  const isRefused = failure !== undefined && isGuards(failure);
  return {
    requestId,
    upstream: upstream.name,
    rpcMethod: cleaned(call?.rpcMethod),
    name: cleaned(call?.name),
    status,
    upstreamStatus,
    failure,
    durationMs,
    accountId: caller?.accountId,
    sessionId: idOf(caller, "session"),
    grantId: idOf(caller, "grant"),
    agentId: idOf(caller, "agent"),
    clientId: cleaned(caller?.agent),
    guard: isRefused ? failure : decision?.approval,
    reason: cleaned(exchange.reason),
  };
}

function idOf(caller: Caller | undefined, kind: Caller["kind"]): string | undefined {
  return caller?.kind === kind ? caller.id : undefined;
}

type Facts = ReturnType<typeof factsOf>;
type Known = { readonly caller: Caller; readonly call: Call };

/** The same for the audit trail. */
function rowOf(exchange: Exchange, facts: Facts, { caller, call }: Known): CallRow {
  const at = new Date(exchange.startedAt);
  const tools = exchange.context?.tools;
  const argumentsHash = tools?.length === 1 ? tools[0]?.hash : undefined;
  return {
    ...facts,
    id: newId(at),
    at,
    personId: caller.personId,
    httpMethod: call.httpMethod,
    argumentsHash,
    rpcMethod: storable(call.rpcMethod),
    name: storable(call.name),
    clientId: storable(caller.agent),
  };
}

function endSpan(span: NonNullable<Exchange["span"]>, facts: Facts): void {
  const { rpcMethod, name, upstream, status, upstreamStatus, requestId } = facts;
  const said = {
    "mcp.method.name": rpcMethod,
    "mcp.tool.name": name,
    "smartdash.upstream": upstream,
    "smartdash.request_id": requestId,
    "http.response.status_code": status,
    "smartdash.upstream_status": upstreamStatus,
  };
  span.end(said, status >= 500);
}

const known = new Map<string, string>();
const mostKnown = 1000;

/** For the log. Tools and clients are few: what came of a text is remembered. */
function cleaned(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const before = known.get(text);
  if (before !== undefined) return before;
  const clean = redact(storable(text) ?? "");
  if (known.size >= mostKnown) known.clear();
  known.set(text, clean);
  return clean;
}

const isPlain = /^[\x20-\x7e]*$/;

/** PostgreSQL takes neither NUL nor half a surrogate pair. */
function storable(text: string | undefined): string | undefined {
  if (text === undefined || (text.length <= longestName && isPlain.test(text))) return text;
  return text.slice(0, longestName).replaceAll("\0", "").toWellFormed();
}
