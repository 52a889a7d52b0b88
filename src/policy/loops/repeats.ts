import type { Upstream } from "#src/upstreams/upstream.ts";
import type { Rate } from "#src/config/guards.ts";
import { inKey } from "../rates/rate-counters.ts";
import { type Nature, fits } from "../tools/patterns.ts";

const second = 1000;

/**
 * How often the same call may bring the same result: so many times at once, then one in so many seconds. Whoever
 * waits for something asks again and again with pauses; whoever has lost the thread asks without.
 */
const repeats = {
  reading: { calls: 1, perMs: 10 * second, burst: 30 },
  unknown: { calls: 1, perMs: 10 * second, burst: 12 },
  writing: { calls: 1, perMs: 60 * second, burst: 3 },
} as const satisfies Record<string, Rate>;

/** How often the same call may bring the same result. Undefined where the operator wants no watch over it. */
export function repeatPaceOf(
  upstream: Upstream,
  name: string,
  nature: Nature | undefined,
): Rate | undefined {
  const own = upstream.tools.repeats.find(([pattern]) => fits(pattern, name, nature));
  if (own !== undefined) return own[1] === "off" ? undefined : own[1];
  if (nature === undefined || nature === "unknown") return repeats.unknown;
  return nature === "reading" ? repeats.reading : repeats.writing;
}

/** Under which failures of a tool are counted. */
export function failureKeyOf(caller: string, upstream: Upstream, tool: string): string {
  return `failures:${caller}:${upstream.name}/${inKey(tool.slice(0, 128))}`;
}
