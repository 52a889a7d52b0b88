import type { Caller } from "#src/oauth-server/caller.ts";
import type { ToolPattern } from "#src/upstreams/tool-rules.ts";
import { packTool } from "#src/upstreams/tools/tool-servers.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { GuardsConfig, Rate } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { KnownTool } from "./definitions.ts";
import { type Nature, fits } from "./patterns.ts";

type Owner = { readonly caller: Caller; readonly upstream: Upstream };

/** Why a tool may not be used; undefined when it may. */
export function refusalOf(
  owner: Owner,
  name: string,
  { nature, state }: KnownTool,
): (() => Failure) | undefined {
  const { upstream } = owner;
  if (packTool(upstream, name) !== undefined && upstream.pack?.tools.includes(name) === false) {
    const message = `The operator of this gateway lets agents only read at ${upstream.name} (MELI_SHOP_PROFILE): ${shown(name)} is not among its tools. Work without it.`;
    return () => new Failure("tool_refused", message);
  }
  if (!isAllowed(owner, name, nature)) {
    const message = `The tool ${shown(name)} is not among those that this agent may use at ${upstream.name}. Work without it, or ask the person.`;
    return () => new Failure("tool_refused", message);
  }
  return state === "usable" ? undefined : () => held(upstream, name, state);
}

function held(
  { name: upstream }: Upstream,
  name: string,
  state: Exclude<KnownTool["state"], "usable">,
): Failure {
  const tool = shown(name);
  const why = {
    unseen: `${upstream} has never shown a tool ${tool}: list the tools again. If it is new, the operator has to approve it first.`,
    held: `The tool ${tool} is new or has changed since the operator of this gateway last looked, and waits for them (smartdash tools diff ${upstream}). Work without it.`,
    "held on purpose": `The operator of this gateway holds the tool ${tool} back (smartdash tools list ${upstream}). Work without it.`,
  };
  return new Failure("tool_held", why[state]);
}

/** Whether policies let a caller see and use a tool. What nobody has seen is refused where it would matter. */
export function isAllowed(
  { caller, upstream }: { readonly caller: Pick<Caller, "policies">; readonly upstream: Upstream },
  name: string,
  nature: Nature | undefined,
): boolean {
  return [upstream.tools, ...caller.policies].every(({ allow, deny }) => {
    if (anyFits(deny, name, nature, true)) return false;
    return allow === null || anyFits(allow, name, nature, false);
  });
}

/** Whether a person has to agree to a use of a tool. */
export function needsApproval(
  approval: GuardsConfig["approval"],
  { caller, upstream }: Owner,
  name: string,
  { nature, isListed }: KnownTool,
): boolean {
  const own = packTool(upstream, name);
  // A server of ours says itself that it has no such tool.
  if (upstream.pack !== undefined && own === undefined) return false;
  // Money, and what cannot be undone: no setting goes on for a person.
  if (own?.isOnceOnly === true) return true;
  if (approval === "off") return false;
  if (own?.asks !== undefined) return true;
  if (approval === "destructive" && mayDestroy({ nature, isListed })) return true;
  return [upstream.tools, ...caller.policies].some(({ approve }) =>
    anyFits(approve, name, nature, true),
  );
}

/** Of what a whole list has not shown nobody knows what it does. */
function mayDestroy({ nature, isListed }: Pick<KnownTool, "nature" | "isListed">): boolean {
  return nature === "destructive" || (nature === undefined && isListed);
}

function anyFits(
  patterns: readonly ToolPattern[],
  name: string,
  nature: Nature | undefined,
  whenUnknown: boolean,
): boolean {
  return patterns.some((pattern) => fits(pattern, name, nature, whenUnknown));
}

/** A name is the agent's word: short, and without what would break a line. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}

/**
 * How often the same call may bring the same result: so many times at once, then one in so many seconds. Whoever
 * waits for something asks again and again with pauses; whoever has lost the thread asks without.
 */
const repeats = {
  reading: { calls: 1, perMs: 10_000, burst: 30 },
  unknown: { calls: 1, perMs: 10_000, burst: 12 },
  writing: { calls: 1, perMs: 60_000, burst: 3 },
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
