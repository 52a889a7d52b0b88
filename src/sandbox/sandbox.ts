import type { Provider } from "#src/providers/provider.ts";
import { airtable } from "#src/providers/airtable.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { builtinProviders } from "#src/upstreams/catalog.ts";
import type { Environment } from "#src/config/read.ts";
import { isObject } from "#src/json.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { type SimulatedProvider, holderOf, simulateProvider } from "./provider.ts";
import { type SimulatedApi, simulateApi } from "./mercadolibre-api.ts";
import { simulateUpstream } from "./upstream.ts";

export type Sandbox = {
  readonly origin: string;
  readonly providers: ReadonlyMap<string, SimulatedProvider>;
  /** Mercado Libre's REST side. */
  readonly api: SimulatedApi;
  /** The settings with which a gateway uses this sandbox. */
  readonly environment: Environment;
  stop(): Promise<void>;
};

export type SandboxOptions = {
  readonly accessSeconds: number;
  /** Milliseconds; tokens end by this clock. */
  readonly now: () => number;
  readonly profiles?: readonly Provider[];
  /** What the configuration says of providers that are not built in, by name. */
  readonly definitions?: Readonly<Record<string, unknown>>;
  /** See `SimulationOptions`. */
  readonly endsOnReuse?: boolean;
  readonly tokenMs?: number;
};

function isBuiltin(name: string): boolean {
  return builtinProviders.some((provider) => provider.name === name);
}

const apiBase = "/api.mercadolibre.com";
const clientId = "4242424242424242";
const clientSecret = "sandbox-client-secret";

/** Simulated providers and, for each, an MCP server that honours their access tokens. On loopback alone. */
export function startSandbox(runtime: Pick<Runtime, "serve">, options: SandboxOptions): Sandbox {
  const profiles = options.profiles ?? [mercadolibre, airtable];
  const providers = new Map(
    profiles.map((profile) => [
      profile.name,
      simulateProvider({ ...options, profile, clientId, clientSecret }),
    ]),
  );
  const upstreams = new Map(
    [...providers].map(([name, { grants }]) => [
      `/mcp/${name}`,
      simulateUpstream((request) => holderOf(grants, request)),
    ]),
  );
  const grants = providers.get("mercadolibre")?.grants;
  const api = simulateApi(
    (request) => (grants === undefined ? undefined : holderOf(grants, request)),
    options.now,
  );
  const serving = runtime.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxBodyBytes: 8 * 1024 * 1024,
    handle: (request) => {
      const { pathname } = new URL(request.url);
      const upstream = upstreams.get(pathname);
      if (upstream !== undefined) return upstream.fetch(request);
      if (pathname.startsWith(`${apiBase}/`)) {
        return api.fetch(request, pathname.slice(apiBase.length));
      }
      for (const provider of providers.values()) {
        const answer = provider.fetch(request);
        if (answer !== undefined) return answer;
      }
      return new Response(null, { status: 404 });
    },
  });
  const origin = `http://127.0.0.1:${serving.port}`;
  return {
    origin,
    providers,
    api,
    environment: environmentFor(origin, providers, options.definitions ?? {}),
    stop: async () => {
      await serving.stop(0);
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
    },
  };
}

function environmentFor(
  origin: string,
  providers: ReadonlyMap<string, SimulatedProvider>,
  definitions: Readonly<Record<string, unknown>>,
): Environment {
  const overrides = [...providers].map(([name, provider]) => {
    const own = definitions[name];
    const ids = isBuiltin(name) ? {} : { client_id: clientId, client_secret: clientSecret };
    const { issuer: _, promises_iss: __, ...rest } = isObject(own) ? own : {};
    return [name, { ...rest, ...ids, ...provider.overrides(origin) }];
  });
  const upstreams = [...providers.keys()].map((name) => {
    const credential = isBuiltin(name) ? {} : { credential: { provider: name } };
    return [name, { url: `${origin}/mcp/${name}`, ...credential }];
  });
  const shop = { "mercadolibre-shop": { url: `${origin}${apiBase}` } };
  return {
    SMARTDASH_PROVIDERS: JSON.stringify(Object.fromEntries(overrides)),
    SMARTDASH_UPSTREAMS: JSON.stringify({
      ...Object.fromEntries(upstreams),
      ...(providers.has("mercadolibre") ? shop : {}),
    }),
    MELI_CLIENT_ID: clientId,
    MELI_CLIENT_SECRET: clientSecret,
    AIRTABLE_CLIENT_ID: clientId,
    AIRTABLE_CLIENT_SECRET: clientSecret,
    ...(providers.has("mercadopago")
      ? { MERCADOPAGO_CLIENT_ID: clientId, MERCADOPAGO_CLIENT_SECRET: clientSecret }
      : {}),
    ...(providers.has("supabase")
      ? { SUPABASE_CLIENT_ID: clientId, SUPABASE_CLIENT_SECRET: clientSecret }
      : {}),
  };
}
