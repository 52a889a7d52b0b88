import type { Catalog } from "./catalog.ts";
import type { Upstream } from "./upstream.ts";

type Paths = ReadonlyMap<string, Upstream>;

/** A catalog never changes, and every token is judged by its paths. */
const known = new WeakMap<Catalog, Paths>();

/** Every path at which MCP is spoken, with the upstream behind it; each upstream's own path comes first. */
export function mcpPaths(catalog: Catalog): Paths {
  const paths = known.get(catalog) ?? pathsOf(catalog);
  known.set(catalog, paths);
  return paths;
}

function pathsOf(catalog: Catalog): Paths {
  const paths = new Map<string, Upstream>();
  for (const upstream of catalog.upstreams.values()) {
    const { name } = upstream;
    paths.set(`/mcp/${name}`, upstream);
    paths.set(`/api/mcp/${name}`, upstream);
    if (name === catalog.defaultUpstream) paths.set("/mcp", upstream);
  }
  return paths;
}
