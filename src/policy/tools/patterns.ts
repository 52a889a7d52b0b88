import type { ToolPattern } from "#src/upstreams/tool-rules.ts";

/**
 * What a tool says it does, the most dangerous last; nobody has checked it. `unknown` says nothing: by MCP it may
 * write, and it is not marked as destructive.
 */
export const natures = ["reading", "writing", "unknown", "destructive"] as const;
export type Nature = (typeof natures)[number];

/**
 * Whether a pattern fits a tool. Of a tool whose definition nobody has seen (`nature` undefined), words for
 * annotations fit or do not as `whenUnknown` says.
 */
export function fits(
  pattern: ToolPattern,
  name: string,
  nature: Nature | undefined,
  whenUnknown = false,
): boolean {
  if (!pattern.startsWith("@")) return fitsGlob(pattern, name);
  if (nature === undefined) return whenUnknown;
  if (pattern === "@destructive") return nature === "destructive";
  return (pattern === "@read-only") === (nature === "reading");
}

/** `*` stands for any characters, also none. Takes time in proportion to both lengths, never more. */
function fitsGlob(glob: string, name: string): boolean {
  const [first = "", ...rest] = glob.split("*");
  if (!name.startsWith(first)) return false;
  const last = rest.pop();
  if (last === undefined) return name.length === first.length;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
