import type { Catalog } from "./catalog.ts";
import type { Upstream } from "./upstream.ts";

/** Every path at which MCP is spoken, with the upstream behind it; each upstream's own path comes first. */
export function mcpPaths(catalog: Catalog): ReadonlyMap<string, Upstream> {
  const paths = new Map<string, Upstream>();
  for (const upstream of catalog.upstreams.values()) {
    const { name } = upstream;
    paths.set(`/mcp/${name}`, upstream);
    paths.set(`/api/mcp/${name}`, upstream);
    if (name === catalog.defaultUpstream) paths.set("/mcp", upstream);
  }
  return paths;
}
