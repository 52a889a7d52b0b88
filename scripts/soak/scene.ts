import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startSandbox } from "#src/sandbox/sandbox.ts";
import { own, startScript } from "../bench/owned.ts";
import { seed } from "../bench/seed.ts";
import { type GatewayProcess, startGatewayProcess } from "./gateway.ts";

/** A gateway with its own home and database, an upstream and a provider: everything the soak has started. */
export type Scene = {
  readonly gateway: GatewayProcess;
  /** The MCP address that everybody calls. */
  readonly address: URL;
  readonly bearers: readonly string[];
  readonly ports: { readonly upstream: number; readonly provider: number };
  countRefreshes(): number;
  /** Refresh tokens that came to the provider after they had been used up. */
  countReused(): number;
  countStreamsUpstream(): Promise<number>;
  /** Resolves with whether the gateway went in order. */
  stop(): Promise<boolean>;
};

const accounts = 8;
/** So short that each account is refreshed several times a minute. */
const accessSeconds = 20;
/** The first ones end soon, so that the first refresh is over before anybody looks. */
const firstSeconds = 5;
/** Beside those that end in time, tokens die while they are used. */
const callsForEachRefusal = 1000;

export async function openScene(): Promise<Scene> {
  const { sandbox, provider } = openProvider();
  const upstream = await startScript("upstream.ts", []);
  const upstreamUrl = new URL(`/mortal/${callsForEachRefusal}`, upstream.url);
  const seeded = await seed(upstreamUrl.href, {
    accounts,
    environment: {
      ...sandbox.environment,
      SMARTDASH_LIMITS: "off",
      SMARTDASH_BUDGETS: "off",
      SMARTDASH_LOOPS: "off",
      SMARTDASH_CALLS_AT_ONCE: "10000",
      SMARTDASH_STREAMS_AT_ONCE: "10000",
      SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstreamUrl.href } }),
    },
    tokensOf: (id) => ({
      ...provider.grants.issue({ id, name: `SELLER_${id}`, site: "MLA" }),
      accessSeconds: firstSeconds,
    }),
  });
  // From here on the database is the gateway's own.
  await seeded.database.stop();
  const gateway = await startGatewayProcess({ ...seeded.environment, DATABASE_URL: undefined });
  return {
    gateway,
    address: new URL("/mcp/mercadolibre", gateway.url),
    bearers: seeded.bearers,
    ports: { upstream: portOf(upstream.url), provider: portOf(sandbox.origin) },
    countRefreshes: () => provider.asked.refresh_token,
    countReused: () => provider.grants.reused(),
    countStreamsUpstream: async () =>
      Number(await (await fetch(new URL("/open", upstream.url))).text()),
    async stop() {
      const isInOrder = await gateway.stop();
      await seeded.stop();
      await upstream.stop();
      await sandbox.stop();
      return isInOrder;
    },
  };
}

/** A provider that ends a grant whose used refresh token comes again. */
function openProvider() {
  const options = { accessSeconds, now: Date.now, profiles: [mercadolibre], endsOnReuse: true };
  const sandbox = startSandbox(bunRuntime, options);
  const stop = own(() => sandbox.stop());
  const provider = sandbox.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is simulated");
  return { provider, sandbox: { ...sandbox, stop } };
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
