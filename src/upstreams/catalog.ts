import type { Config } from "#src/config/load.ts";
import type { Problem } from "#src/config/read.ts";
import { isObject } from "#src/json.ts";
import { halfRegistrations } from "#src/config/registrations.ts";
import type { Provider } from "#src/providers/provider.ts";
import { airtable } from "#src/providers/airtable.ts";
import { readProvider } from "#src/providers/generic.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { mercadopago } from "#src/providers/mercadopago.ts";
import { supabase } from "#src/providers/supabase.ts";
import { type Upstream, readUpstream } from "./upstream.ts";
import { builtinUpstreams } from "./builtin.ts";

/** Everything we can connect to, by name. */
export type Catalog = {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly defaultUpstream: string;
};

export const builtinProviders = [mercadolibre, mercadopago, airtable, supabase] as const;

type CatalogSettings = Pick<
  Config,
  | "providers"
  | "upstreams"
  | "defaultUpstream"
  | "supabase"
  | "registrations"
  | "edge"
  | "shopProfile"
>;

/** The built-in profiles with what the configuration adds or overrides. */
export function buildCatalog(config: CatalogSettings): { catalog: Catalog; problems: Problem[] } {
  const problems: Problem[] = [];
  const complain = (setting: string) => (message: string) => problems.push({ setting, message });
  const providers = new Map<string, Provider>(builtinProviders.map((each) => [each.name, each]));
  for (const [name, value] of Object.entries(config.providers)) {
    const reading = readProvider(name, value, providers.get(name));
    reading.problems.forEach(complain("SMARTDASH_PROVIDERS"));
    if (reading.provider !== undefined) providers.set(name, reading.provider);
  }
  const upstreams = new Map(builtinUpstreams(config).map((each) => [each.name, each]));
  for (const [name, value] of Object.entries(config.upstreams)) {
    const reading = readUpstream(name, value, upstreams.get(name));
    reading.problems.forEach(complain("SMARTDASH_UPSTREAMS"));
    if (reading.upstream !== undefined) upstreams.set(name, reading.upstream);
  }
  if (config.edge.isOn && config.upstreams["node"] !== undefined) {
    complain("SMARTDASH_UPSTREAMS")("node: this name is the node's own while SMARTDASH_EDGE is on");
  }
  const defaultUpstream =
    config.defaultUpstream || (onlyConfigured(config, upstreams) ?? usualUpstream);
  problems.push(...wrongReferences(defaultUpstream, providers, upstreams));
  problems.push(...wrongSite(config, providers), ...halfRegistrations(config, providers));
  return { catalog: { providers, upstreams, defaultUpstream }, problems };
}

const usualUpstream = "mercadolibre";

/** The one upstream that calls can get to, as far as the settings say; undefined when there are none or several. */
function onlyConfigured(
  config: CatalogSettings,
  upstreams: ReadonlyMap<string, Upstream>,
): string | undefined {
  const hasClient = (provider: string) => {
    const own = config.providers[provider];
    const id = isObject(own) ? own["client_id"] : undefined;
    return config.registrations[provider]?.clientId !== undefined || (id ?? "") !== "";
  };
  const [only, ...others] = [...upstreams.values()].filter(({ name, credential }) =>
    credential.kind === "account"
      ? hasClient(credential.provider)
      : config.upstreams[name] !== undefined,
  );
  return others.length === 0 ? only?.name : undefined;
}

function wrongReferences(
  defaultUpstream: string,
  providers: ReadonlyMap<string, Provider>,
  upstreams: ReadonlyMap<string, Upstream>,
): readonly Problem[] {
  const lost = [...upstreams.values()].flatMap(({ name, credential }) => {
    if (credential.kind !== "account" || providers.has(credential.provider)) return [];
    const message = `${name}: there is no provider ${credential.provider}`;
    return [{ setting: "SMARTDASH_UPSTREAMS", message }];
  });
  if (upstreams.has(defaultUpstream)) return lost;
  const message = `must be one of ${[...upstreams.keys()].join(", ")}`;
  return [...lost, { setting: "SMARTDASH_DEFAULT_UPSTREAM", message }];
}

function wrongSite(
  config: CatalogSettings,
  providers: ReadonlyMap<string, Provider>,
): readonly Problem[] {
  const site = config.registrations["mercadolibre"]?.site;
  const sites = providers.get("mercadolibre")?.sites ?? {};
  if (site === undefined || Object.hasOwn(sites, site)) return [];
  return [{ setting: "MELI_SITE", message: `must be one of ${Object.keys(sites).join(", ")}` }];
}

/** Own providers that name an `issuer` and no endpoints: these are to be discovered (RFC 8414). */
export function issuersToDiscover(config: Pick<Config, "providers">): ReadonlyMap<string, string> {
  const found = Object.entries(config.providers).flatMap(([name, value]) => {
    if (!isObject(value) || typeof value["issuer"] !== "string") return [];
    return typeof value["token"] === "string" ? [] : [[name, value["issuer"]] as const];
  });
  return new Map(found);
}
