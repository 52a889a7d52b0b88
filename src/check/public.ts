import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connectable } from "#src/accounts/registration.ts";
import type { App } from "#src/app.ts";
import { probeMethod, probeTicket } from "#src/proxy/probe.ts";
import { localGateway, publicInit } from "#src/config/load.ts";
import { isObject } from "#src/json.ts";
import { type CheckResult, pass, problem, skipped, notExecuted } from "./result.ts";
import { type Heard, listen } from "./listen.ts";

type Deps = Pick<App, "config" | "catalog" | "publicUrl" | "bindingKey" | "now">;

const limitMs = 5000;

/** How long a quiet stream is listened to. */
export type Patience = "quick" | "usual" | "long";
const silences: Readonly<Record<Patience, number>> = { quick: 0, usual: 35_000, long: 65_000 };

const through = {
  reached: { chapter: 3, code: "public_url_reached", what: "Where PUBLIC_URL leads" },
  version: { chapter: 10, code: "previous_version", what: "The version that runs" },
  redirects: { chapter: 2, code: "redirect_uri_reached", what: "Where redirect URIs lead" },
  events: { chapter: 3, code: "stream_unbuffered", what: "Events through PUBLIC_URL" },
  comments: { chapter: 3, code: "keepalive_seen", what: "Comments on a quiet stream" },
  quiet: { chapter: 9, code: "stream_survives", what: "A quiet stream" },
  leaving: { chapter: 3, code: "disconnect_noticed", what: "A client that leaves" },
} as const;

/** What is not known without a running gateway. */
export const partsOutside = Object.values(through);

/** What could not be tried, once it is known where PUBLIC_URL leads, or does not. */
const behind = partsOutside.filter(({ code }) => code !== through.reached.code);

/**
 * Chapters 3 and 9, through PUBLIC_URL and whatever stands in front of the running gateway: does it lead here, do
 * events arrive as they are sent, is a quiet stream kept alive, is a client that leaves noticed?
 */
export async function throughPublicUrl(
  app: Deps,
  patience: Patience,
): Promise<readonly CheckResult[]> {
  const outside = await statusOf(`${app.publicUrl}/livez`, publicInit(app.config));
  if (typeof outside !== "number") return await unreachable(app, outside.reason);
  if (outside === 403) {
    return [
      problem(
        "host_rewritten",
        `${app.publicUrl} refuses its own name: the Host header is another`,
      ),
      ...notExecuted(behind, "host_rewritten"),
    ];
  }
  if (outside !== 200) {
    return [
      problem("public_url_unreachable", `${app.publicUrl}/livez answers ${outside}`),
      ...notExecuted(behind, "public_url_unreachable"),
    ];
  }
  const known = await ask(app, { act: "status", id: randomUUID() });
  if (known === undefined) {
    return [
      problem("public_url_elsewhere", `${app.publicUrl} does not take this deployment's proof`),
      ...notExecuted(behind, "public_url_elsewhere"),
    ];
  }
  const reached = pass(
    3,
    "public_url_reached",
    `${app.publicUrl} leads to a gateway of this deployment`,
  );
  const version = `It runs ${String(known["number"])} (${String(known["revision"])})`;
  return [
    reached,
    pass(
      10,
      "previous_version",
      `${version}; keep that binary until the new one has proven itself`,
    ),
    ...(await redirectUris(app)),
    ...(await streams(app, silences[patience])),
    ...(await leaving(app)),
  ];
}

async function unreachable(app: Deps, reason: string): Promise<readonly CheckResult[]> {
  const { address, init } = localGateway(app.config);
  const inside = await statusOf(`${address}/livez`, init);
  const isHere = typeof inside === "number";
  if (isHere) {
    return [
      problem("public_url_unreachable", `${app.publicUrl} cannot be reached (${reason})`),
      ...notExecuted(behind, "public_url_unreachable"),
    ];
  }
  return [
    problem("gateway_not_running", `Nothing answers at ${app.publicUrl}`),
    problem("previous_unknown", "No gateway runs that could be gone back to"),
    ...notExecuted(
      behind.filter(({ code }) => code !== through.version.code),
      "gateway_not_running",
    ),
  ];
}

async function statusOf(
  url: string,
  more: object = {},
): Promise<number | { readonly reason: string }> {
  try {
    const signal = AbortSignal.timeout(limitMs);
    const answer = await fetch(url, { ...more, redirect: "manual", signal });
    await answer.text();
    return answer.status;
  } catch (error) {
    const code = isObject(error) && typeof error["code"] === "string" ? error["code"] : undefined;
    return { reason: code ?? (error instanceof Error ? error.name : "unknown") };
  }
}

/** Every redirect URI has to lead to this gateway, whose answers name a request. */
async function redirectUris(app: Deps): Promise<readonly CheckResult[]> {
  const all = new Set(connectable(app).map(({ redirectUri }) => redirectUri));
  return await Promise.all(
    [...all].map(async (uri) => {
      try {
        const signal = AbortSignal.timeout(limitMs);
        const answer = await fetch(uri, { ...publicInit(app.config), redirect: "manual", signal });
        await answer.text();
        // Without a state it is refused, by us.
        const isOurs = answer.status === 400 && answer.headers.has("x-request-id");
        return isOurs
          ? pass(2, "redirect_uri_reached", `${uri} leads to this gateway`)
          : problem(
              "redirect_uri_elsewhere",
              `${uri} answers ${answer.status}, not as this gateway`,
            );
      } catch {
        return problem("redirect_uri_elsewhere", `${uri} cannot be reached`);
      }
    }),
  );
}

const [bufferedMs, slowMs] = [700, 1000];

async function streams(app: Deps, silentMs: number): Promise<readonly CheckResult[]> {
  const heard = await listen(
    () => post(app, { act: "stream", id: randomUUID(), silentMs }),
    silentMs,
  );
  if (typeof heard === "string") {
    const unheard = [through.events, through.comments, through.quiet];
    return [problem("stream_cut", `No stream: ${heard}`), ...notExecuted(unheard, "stream_cut")];
  }
  const spread = (heard.eventsAt.at(4) ?? 0) - (heard.eventsAt.at(0) ?? 0);
  const first = Math.round(heard.firstByteMs);
  const found: CheckResult[] = [
    heard.encoding === null
      ? pass(3, "stream_plain", "Streams are not compressed on the way")
      : problem("stream_compressed", `The stream came with Content-Encoding ${heard.encoding}`),
    spread < bufferedMs
      ? problem(
          "stream_buffered",
          `Five events sent within a second arrived within ${Math.round(spread)} ms`,
        )
      : pass(3, "stream_unbuffered", "Events arrive one by one, as they are sent"),
    first > slowMs
      ? problem("stream_slow", `The first byte took ${first} ms`)
      : pass(3, "stream_fast", `The first byte came after ${first} ms`),
  ];
  if (silentMs === 0)
    return [...found, ...notExecuted([through.comments, through.quiet], "--quick")];
  return [...found, ...silence(app, heard, silentMs)];
}

function silence({ config }: Deps, heard: Heard, silentMs: number): readonly CheckResult[] {
  const wanted = Math.floor(silentMs / config.upstreamLimits.keepAliveMs);
  const words = `${heard.comments} comments within ${silentMs / 1000} s of silence`;
  return [
    heard.isWhole
      ? pass(
          9,
          "stream_survives",
          `A stream that was quiet for ${silentMs / 1000} s was not cut: no 504`,
        )
      : problem("stream_cut", `A stream was cut after ${Math.round(heard.lastedMs / 1000)} s`),
    commentsOf(heard, wanted, words),
  ];
}

/** One that comes only after what was waited for, or after the stream was cut, was not seen and is not missing. */
function commentsOf(heard: Heard, wanted: number, words: string): CheckResult {
  if (heard.comments > 0) return pass(3, "keepalive_seen", words);
  if (heard.isWhole && wanted > 0) return problem("keepalive_missing", words);
  return skipped(3, "keepalive_seen", `${through.comments.what}: ${words}, none was due`);
}

const [noticeTries, noticeMs] = [15, 200];
/** Until the stream is quiet: what is written to a client that has gone is noticed in any case. */
const untilQuietMs = 2000;

/** Opens a stream, leaves, and asks the gateway whether it has noticed. */
async function leaving(app: Deps): Promise<readonly CheckResult[]> {
  const id = randomUUID();
  const leave = new AbortController();
  const silentMs = 10_000;
  const reading = post(app, { act: "stream", id, silentMs }, leave.signal)
    .then((answer) => answer.text())
    .catch(() => "");
  await Promise.race([reading, sleep(untilQuietMs)]);
  leave.abort();
  let state = "unknown";
  // Another replica may answer: it does not know.
  for (let turn = 0; turn < noticeTries && state !== "cancelled"; turn++) {
    await sleep(noticeMs);
    const said = String((await ask(app, { act: "status", id }))?.["state"]);
    state = said === "unknown" ? state : said;
  }
  return [
    state === "cancelled"
      ? pass(3, "disconnect_noticed", "A client that leaves is noticed through PUBLIC_URL")
      : problem("disconnect_kept", `A client left; three seconds later its stream is ${state}`),
  ];
}

type Wish = { readonly id: string; readonly act: string; readonly silentMs?: number };

async function ask(app: Deps, wish: Wish): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const answer = await post(app, wish, AbortSignal.timeout(limitMs));
    const body: unknown = await answer.json();
    return answer.ok && isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** At an MCP address: proxies often treat these in their own way. */
function post(app: Deps, params: Wish, signal?: AbortSignal): Promise<Response> {
  return fetch(`${app.publicUrl}/mcp`, {
    ...publicInit(app.config),
    method: "POST",
    redirect: "manual",
    ...(signal === undefined ? {} : { signal }),
    headers: {
      authorization: `Bearer ${probeTicket(app).reveal()}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "accept-encoding": "gzip, br",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: probeMethod, params }),
  });
}
