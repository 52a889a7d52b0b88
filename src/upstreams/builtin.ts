import type { Config } from "#src/config/load.ts";
import { mercadolibreShop, shopProfiles } from "./mercadolibre-shop/pack.ts";
import { noToolRules } from "./tool-rules.ts";
import { type Upstream, insideScheme } from "./upstream.ts";

/** What the edge extension answers itself (`src/edge/node-server.ts`). */
const ownNode: Upstream = {
  name: "node",
  title: "This node",
  url: `${insideScheme}//node/`,
  credential: { kind: "operator" },
  tools: noToolRules,
};

/** The official servers of the providers we know. Each needs an account of its provider. */
export function builtinUpstreams(
  config: Pick<Config, "supabase" | "edge" | "shopProfile">,
): readonly Upstream[] {
  return [
    ...(config.edge.isOn ? [ownNode] : []),
    ofProvider("mercadolibre", "Mercado Libre", "https://mcp.mercadolibre.com/mcp"),
    shop(config.shopProfile),
    ofProvider("mercadopago", "Mercado Pago", "https://mcp.mercadopago.com/mcp"),
    ofProvider("airtable", "Airtable", "https://mcp.airtable.com/mcp"),
    ofProvider("supabase", "Supabase", supabaseUrl(config.supabase)),
  ];
}

function ofProvider(name: string, title: string, url: string): Upstream {
  return { name, title, url, credential: { kind: "account", provider: name }, tools: noToolRules };
}

/** Mercado Libre's API, as tools. What changes something asks a person. */
function shop(profile: Config["shopProfile"]): Upstream {
  const { name } = mercadolibreShop;
  return {
    name,
    title: "Mercado Libre shop",
    url: "https://api.mercadolibre.com",
    credential: { kind: "account", provider: "mercadolibre" },
    // Its definitions come with this gateway: whoever installed it has approved them.
    tools: { ...noToolRules, pinning: "report" },
    pack: { name, tools: shopProfiles[profile] },
  };
}

function supabaseUrl(settings: Config["supabase"]): string {
  const url = new URL("https://mcp.supabase.com/mcp");
  if (settings.projectRef !== undefined) url.searchParams.set("project_ref", settings.projectRef);
  if (settings.readOnly) url.searchParams.set("read_only", "true");
  if (settings.features !== undefined) url.searchParams.set("features", settings.features);
  return url.href;
}
