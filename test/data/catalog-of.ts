import { buildCatalog, issuersToDiscover } from "#src/upstreams/catalog.ts";
import { withDiscovered } from "#src/providers/discover.ts";
import { loadConfig } from "#src/config/load.ts";
import { createOutbound } from "#src/http/fetch-exchange.ts";

const twoSeconds = 2000;

/** The way a gateway goes from its settings to its catalog. */
export async function catalogOf(providers: object, upstreams: object) {
  const { config, problems } = loadConfig({
    SMARTDASH_PROVIDERS: JSON.stringify(providers),
    SMARTDASH_UPSTREAMS: JSON.stringify(upstreams),
  });
  const outbound = createOutbound(twoSeconds);
  const found = await withDiscovered(outbound, config.providers, issuersToDiscover(config));
  const built = buildCatalog({ ...config, providers: found.providers });
  return { ...built, problems: [...problems, ...found.problems, ...built.problems] };
}
