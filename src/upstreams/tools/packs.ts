import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { recordEvent } from "#db/events.ts";
import type { Database } from "#db/open.ts";
import { createCache } from "#src/cache.ts";
import type { Config } from "#src/config/load.ts";
import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { canonicalJson } from "#src/crypto/canonical-json.ts";
import type { Exchange, OutgoingRequest } from "#src/http/exchange.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { Log } from "#src/telemetry/log.ts";
import { timely } from "#src/timeout.ts";
import { mercadolibreShop } from "../mercadolibre-shop/pack.ts";
import { endpoints, idPatterns } from "../mercadolibre-shop/endpoints.ts";
import { text } from "../mercadolibre-shop/fields.ts";
import type { Upstream } from "../upstream.ts";
import { type Api, type Endpoint, Running, type Seller, Unauthorized, callApi } from "./api.ts";
import { ToolProblem, unknownOutcome } from "./problem.ts";
import { createQuota } from "./quota.ts";
import { type ServedPack, servePack } from "./server.ts";
import type { Pack, Tool } from "./tool.ts";
import { beginWrite, endWrite } from "./write-store.ts";

/** A pack that an upstream of kind `tools` may have, by its name. */
export const packs: ReadonlyMap<string, Pack> = new Map([
  [mercadolibreShop.name, mercadolibreShop],
]);

/** A tool of an upstream that is an API; undefined for one of an MCP server. */
export function packTool({ pack }: Pick<Upstream, "pack">, name: string): Tool | undefined {
  return packs.get(pack?.name ?? "")?.tools.find((tool) => tool.name === name);
}

type Deps = {
  readonly db: Database;
  readonly config: Pick<Config, "shopRequestsPerMinute">;
  readonly log: Pick<Log, "lasting" | "error">;
  readonly exchange: Exchange;
  readonly now: () => Date;
};

/** Exchanges with the packs of this process: an agent's MCP request in, requests to the API out. */
export type ToolServers = {
  exchange(upstream: Upstream, request: OutgoingRequest): ReturnType<Exchange>;
};

const tenMinutesMs = 10 * 60_000;
/** Of one call, however many requests it makes. */
const longestMs = 20_000;

export function createToolServers(deps: Deps): ToolServers {
  const now = () => deps.now().getTime();
  const pause = (milliseconds: number) => sleep(milliseconds, undefined, { ref: false });
  const quota = createQuota({
    // Messages and stock have documented limits: 500 and 100.
    perMinute: { default: deps.config.shopRequestsPerMinute, messages: 450, stock: 90 },
    now,
    sleep: pause,
  });
  const sellers = createCache<Seller>({ freshMs: tenMinutesMs, staleMs: 0, size: 10_000, now });
  const served = new Map<string, ServedPack>();
  const noteGone = goneNotes(deps);
  const api = { exchange: deps.exchange, quota, now: deps.now, sleep: pause, noteGone };

  function serverOf({ name, pack }: Upstream): ServedPack {
    const known = served.get(name);
    if (known !== undefined) return known;
    const all = packs.get(pack?.name ?? "");
    if (all === undefined) throw new Error(`${name} has no pack`);
    const own = all.tools.filter((each) => pack?.tools.includes(each.name));
    const server = servePack({ ...all, tools: own });
    served.set(name, server);
    return server;
  }

  return {
    async exchange(upstream, request) {
      const running = new Running();
      request.cancel.stops(running);
      const timer = setTimeout(() => running.stop(), longestMs);
      try {
        return await serverOf(upstream).answer(request, () =>
          apiFor({ deps, api, sellers }, upstream, { request, running }),
        );
      } catch (error) {
        if (error instanceof Failure) throw error;
        // A mistake of ours is not the API's.
        deps.log.error("internal", { upstream: upstream.name, ...errorFields(error) });
        throw new Failure("internal");
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Once an hour for each endpoint. A 404 about one thing is an answer; about a whole collection it is none. */
function goneNotes({ db, log, now }: Deps): (endpoint: Endpoint, status: number) => void {
  const noted = createCache<true>({
    freshMs: 3_600_000,
    staleMs: 0,
    size: 1000,
    now: () => now().getTime(),
  });
  return ({ method, path }, status) => {
    const subject = `${method} ${path}`;
    const isAboutOne = status === 404 && path.includes("{");
    if (isAboutOne || noted.fresh(subject) === true) return;
    noted.put(subject, true);
    log.lasting("endpoint_gone", { endpoint: subject, status });
    recordEvent(db, { name: "endpoint_gone", subject }).catch((error: unknown) =>
      log.lasting("event_not_stored", errorFields(error)),
    );
  };
}

type Parts = {
  readonly deps: Deps;
  readonly api: Parameters<typeof callApi>[0];
  readonly sellers: ReturnType<typeof createCache<Seller>>;
};

function apiFor(
  { deps, api, sellers }: Parts,
  { url, pack }: Upstream,
  { request, running }: { readonly request: OutgoingRequest; readonly running: Running },
): Omit<Api, "attach"> {
  const authorization = request.headers["authorization"] ?? "";
  // Not the credential itself: a key of a cache may end up in a message.
  const holder = hash("sha256", authorization, "base64url");
  const packName = pack?.name ?? "";
  const context = {
    // Written as addresses are: without the port of the scheme.
    base: new URL(url).href.replace(/\/$/, ""),
    authorization,
    patterns: idPatterns,
    running,
    holder,
  };
  const seller = async () => {
    // Several calls may share the answer: none of them ends it for the others.
    const own = { ...context, running: new Running() };
    const load = async () => sellerOf(await callApi(api, own, endpoints.me));
    const known = await sellers.get(holder, load);
    if (known !== undefined) return known;
    throw new ToolProblem("upstream_down", "The API did not say whose account this is");
  };
  return {
    call: async (endpoint, given) => await callApi(api, context, endpoint, given),
    seller,
    now: deps.now,
    async once({ tool, about }, send) {
      const { id } = await seller();
      const write = { seller: id, tool, about: hash("sha256", canonicalJson(about), "base64url") };
      const begun = await timely(beginWrite(deps.db, write, packName));
      if (begun === "sent") throw unknownOutcome();
      if (begun === "done") {
        throw new ToolProblem("duplicate", "The same was done within the last ten minutes", {
          nextStep: "Read what is there now. If it really is to be done twice, wait ten minutes.",
        });
      }
      const done = await send().catch(async (error: unknown) => {
        // Of anything but a refusal nobody knows whether it was done.
        const isRefused =
          error instanceof Unauthorized ||
          (error instanceof ToolProblem && error.code !== "outcome_unknown");
        if (isRefused) await timely(endWrite(deps.db, write, { pack: packName, state: "refused" }));
        throw error;
      });
      await timely(endWrite(deps.db, write, { pack: packName, state: "done" }));
      return done;
    },
  };
}

function sellerOf({ body }: { readonly body: unknown }): Seller | undefined {
  const me = isObject(body) ? body : {};
  const [id, site] = [text(me["id"]) ?? "", text(me["site_id"]) ?? ""];
  const isKnown =
    idPatterns["seller"]?.test(id) === true && idPatterns["site"]?.test(site) === true;
  return isKnown ? { id, site, body: me } : undefined;
}
