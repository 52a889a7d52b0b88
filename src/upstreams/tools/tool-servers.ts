import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { recordEvent } from "#db/events.ts";
import type { Database } from "#db/open.ts";
import { createCache } from "#src/cache.ts";
import type { Config } from "#src/config/load.ts";
import { Failure } from "#src/failure.ts";
import { canonicalJson } from "#src/json.ts";
import type { Exchange, OutgoingRequest } from "#src/http/exchange.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { Log } from "#src/telemetry/log.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import { mercadolibreShop } from "../mercadolibre-shop/pack.ts";
import type { Upstream } from "../upstream.ts";
import { type Api, type Seller, Running, Unauthorized, callApi } from "./api.ts";
import { ToolProblem, unknownOutcome } from "./problem.ts";
import { createQuota } from "./quota.ts";
import { type ServedPack, servePack } from "./server.ts";
import type { Pack, Tool } from "./tool.ts";
import { beginWrite, endWrite } from "./write-store.ts";

/** A pack that an upstream of kind `tools` may have, by its name. */
const packs: ReadonlyMap<string, Pack> = new Map([[mercadolibreShop.name, mercadolibreShop]]);

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
  readonly random: () => number;
};

/** Exchanges with the packs of this process: an agent's MCP request in, requests to the API out. */
export type ToolServers = {
  exchange(upstream: Upstream, request: OutgoingRequest): ReturnType<Exchange>;
};

const tenMinutesMs = 10 * 60_000;
/** Of one call, however many requests it makes. */
const longestMs = 20_000;

export function createToolServers(deps: Deps): ToolServers {
  const now = millisecondsOf(deps);
  const pause = (milliseconds: number) => sleep(milliseconds, undefined, { ref: false });
  const served = new Map<string, Served>();
  const noteChange = changeNotes(deps);
  const api = {
    exchange: deps.exchange,
    now: deps.now,
    random: deps.random,
    sleep: pause,
    noteChange,
  };
  const own = ({ perMinute }: Pack) => ({
    quota: createQuota({
      perMinute: { ...perMinute, default: deps.config.shopRequestsPerMinute },
      now: () => performance.now(),
      sleep: pause,
    }),
    sellers: createCache<Seller>({ freshMs: tenMinutesMs, staleMs: 0, size: 10_000, now }),
  });

  function serverOf({ name, url, pack: chosen }: Upstream): Served {
    const known = served.get(name);
    if (known !== undefined) return known;
    const pack = packs.get(chosen?.name ?? "");
    if (pack === undefined) throw new Error(`${name} has no pack`);
    const tools = pack.tools.filter((each) => chosen?.tools.includes(each.name));
    const { quota, sellers } = own(pack);
    // Written as addresses are: without the port of the scheme.
    const base = new URL(url).href.replace(/\/$/, "");
    const server = {
      base,
      pack,
      sellers,
      api: { ...api, quota },
      served: servePack({ ...pack, tools }),
    };
    served.set(name, server);
    return server;
  }

  return {
    async exchange(upstream, request) {
      const running = new Running();
      request.cancel.stops(running);
      const timer = setTimeout(() => running.stop(), longestMs);
      try {
        const server = serverOf(upstream);
        const apiOf = () => apiFor(deps, server, { request, running });
        return await server.served.answer(request, apiOf);
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
function changeNotes({ db, log, now }: Deps): Parameters<typeof callApi>[0]["noteChange"] {
  const noted = createCache<true>({
    freshMs: 3_600_000,
    staleMs: 0,
    size: 1000,
    now: () => now().getTime(),
  });
  return (change, { method, path }, status) => {
    const subject = `${method} ${path}`;
    const isAboutOne = change === "endpoint_gone" && status === 404 && path.includes("{");
    if (isAboutOne || noted.fresh(`${change} ${subject}`) === true) return;
    noted.put(`${change} ${subject}`, true);
    log.lasting(change, { endpoint: subject, status });
    recordEvent(db, { name: change, subject }).catch((error: unknown) =>
      log.lasting("event_not_stored", errorFields(error)),
    );
  };
}

/** A pack as one upstream has it. */
type Served = {
  /** Of its API, without a slash at the end. */
  readonly base: string;
  readonly pack: Pack;
  readonly served: ServedPack;
  readonly api: Parameters<typeof callApi>[0];
  readonly sellers: ReturnType<typeof createCache<Seller>>;
};

type Call = {
  readonly request: OutgoingRequest;
  readonly running: Running;
};

type Credential = Pick<Parameters<typeof callApi>[1], "authorization" | "holder" | "usual">;

/** By headers that were sent before; it goes with them. */
const credentials = new WeakMap<OutgoingRequest["headers"], Credential>();

/** What is known of a credential. Its holder is not the credential itself: a key of a cache may end up in a message. */
function credentialOf(headers: OutgoingRequest["headers"]): Credential {
  const known = credentials.get(headers);
  if (known !== undefined) return known;
  const authorization = headers["authorization"] ?? "";
  const holder = hash("sha256", authorization, "base64url");
  const made = { authorization, holder, usual: new Map() };
  credentials.set(headers, made);
  return made;
}

function apiFor(
  deps: Deps,
  { base, pack, api, sellers }: Served,
  { request, running }: Call,
): Omit<Api, "attach"> {
  const credential = credentialOf(request.headers);
  const { holder } = credential;
  const context = { base, ...credential, patterns: pack.idPatterns, running };
  const seller = async () => {
    const { endpoint, read } = pack.whoAmI;
    const load = async () => {
      // Several calls may share the answer: none of them ends it for the others, and it ends by itself.
      const own = new Running();
      const timer = setTimeout(() => own.stop(), longestMs);
      try {
        return read((await callApi(api, { ...context, running: own }, endpoint)).body);
      } finally {
        clearTimeout(timer);
      }
    };
    const known = await running.until(sellers.get(holder, load));
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
      const begun = await timely(beginWrite(deps.db, write, pack.name));
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
        if (isRefused)
          await timely(endWrite(deps.db, write, { pack: pack.name, state: "refused" }));
        throw error;
      });
      // It is done, whatever becomes of the row: that then stands for "nobody knows", and is not sent again.
      await timely(endWrite(deps.db, write, { pack: pack.name, state: "done" })).catch(
        (error: unknown) => deps.log.error("write_not_noted", { tool, ...errorFields(error) }),
      );
      return done;
    },
  };
}
