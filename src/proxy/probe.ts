import type { App } from "#src/app.ts";
import { isObject } from "#src/json.ts";
import { Secret, isSame, newToken, tagOf, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";
import type { Flow, Incoming, Sink } from "#src/http/exchange.ts";
import { version } from "#src/runtime/runtime.ts";
import type { OpenStreams } from "./open-streams.ts";
import { relayEvents } from "./stream.ts";

/**
 * What `smartdash check` asks a running gateway, at an MCP address and through whatever stands in front of it:
 * does an event stream arrive as it is sent, is it kept alive, is it noticed when its reader goes away?
 * Whoever asks proves that they have the deployment's keys; no account, upstream or provider is touched.
 */
export type Probes = {
  /** Failures: `bearer_invalid`, `message_invalid`, `busy`. */
  answer(request: Request, requestId: string): Promise<Response>;
};

export const probeMethod = "smartdash/probe";

type ProbeWish = {
  readonly id: string;
  /** `stream`: five events, `silentMs` of silence, one more. `status`: how the stream of this id ended. */
  readonly act: "stream" | "status";
  readonly silentMs: number;
};

const lifetimeMs = 5 * 60_000;
/** Of the moment at which a ticket ends, and of what makes it different from any other; then its tag. */
const [endLength, nonceLength] = [9, 24];
const textLength = endLength + nonceLength;
const [mostOpen, mostRemembered, mostBytes] = [8, 200, 4096];
const [events, betweenMs, longestSilenceMs] = [5, 250, 90_000];

/** A bearer for probes, good for five minutes. */
export function probeTicket(app: Pick<App, "bindingKey" | "now">): Secret {
  const ends = (app.now().getTime() + lifetimeMs).toString(36).padStart(endLength, "0");
  const text = `${ends}${newToken("probe").reveal().slice(-nonceLength)}`;
  return new Secret(`${tokenPrefixes.probe}${text}${tagOf(app.bindingKey, `probe ${text}`)}`);
}

/** How the authorization of a request begins that asks for a probe. */
export const probeScheme = `Bearer ${tokenPrefixes.probe}`;

type Deps = Pick<App, "bindingKey" | "now"> & {
  readonly openStreams: OpenStreams;
};

export function createProbes(app: Deps): Probes {
  /** Of each stream: whether its reader has gone away before its end. */
  const known = new Map<string, "open" | "cancelled" | "ended">();
  let open = 0;
  const note = (id: string, state: "open" | "cancelled" | "ended") => {
    known.set(id, state);
    const [oldest] = known.size > mostRemembered ? known.keys() : [];
    if (oldest !== undefined) known.delete(oldest);
  };
  return {
    async answer(request, requestId) {
      proveTicket(app, request);
      const { id, act, silentMs } = await readWish(request);
      if (act === "status") {
        return Response.json({ id, state: known.get(id) ?? "unknown", ...version });
      }
      if (open >= mostOpen || known.get(id) === "open") throw new Failure("busy");
      open += 1;
      note(id, "open");
      const incoming = scripted(silentMs, (state) => {
        if (known.get(id) === "open") open -= 1;
        note(id, state);
      });
      const body = relayEvents(app, incoming, {
        topics: [`probe:${id}`],
        since: app.now().getTime(),
        reader: { id, acts: false, isAwaited: true, canResume: false },
        endpoint: undefined,
        inspection: {
          caller: `probe:${id}`,
          id: null,
          status: 200,
          screen: undefined,
          ended: undefined,
        },
      });
      const headers = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-request-id": requestId,
      };
      return new Response(body, { headers });
    },
  };
}

function proveTicket(app: Deps, request: Request): void {
  const bearer = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
  const ticket = bearer.slice(tokenPrefixes.probe.length);
  const [text, tag] = [ticket.slice(0, textLength), ticket.slice(textLength)];
  const isOurs = isSame(tag, tagOf(app.bindingKey, `probe ${text}`));
  if (isOurs && Number.parseInt(text.slice(0, endLength), 36) > app.now().getTime()) return;
  throw new Failure("bearer_invalid");
}

async function readWish(request: Request): Promise<ProbeWish> {
  if (request.method !== "POST") throw new Failure("method_not_allowed");
  const text = new TextDecoder().decode(await readBounded(request, mostBytes));
  const message = parsed(text);
  const params = isObject(message) && isObject(message["params"]) ? message["params"] : {};
  const { id, act, silentMs } = params;
  const isWish = typeof id === "string" && /^[\w-]{8,64}$/.test(id);
  if (!isWish || (act !== "stream" && act !== "status")) throw new Failure("message_invalid");
  const silence = typeof silentMs === "number" ? silentMs : 0;
  return { id, act, silentMs: Math.min(Math.max(silence, 0), longestSilenceMs) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("body_unreadable");
  }
}

const encoder = new TextEncoder();

/** An upstream's answer that comes from here. */
function scripted(silentMs: number, ended: (state: "cancelled" | "ended") => void): Incoming {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flow = (sink: Sink): Flow => {
    let sent = 0;
    const next = () => {
      sent += 1;
      const data = JSON.stringify({ jsonrpc: "2.0", method: probeMethod, params: { sent } });
      sink.chunk(encoder.encode(`event: message\ndata: ${data}\n\n`));
      if (sent > events) {
        ended("ended");
        return sink.end();
      }
      timer = setTimeout(next, sent === events ? silentMs : betweenMs);
    };
    timer = setTimeout(next, 0);
    return {
      pause: () => undefined,
      resume: () => undefined,
      cancel: () => {
        clearTimeout(timer);
        ended("cancelled");
      },
    };
  };
  return { status: 200, headers: new Map(), flow };
}
