/** What an agent may be allowed, in the order in which it is shown. */
export const scopes = ["mcp:read", "mcp:call", "mcp:resources"] as const;
export type Scope = (typeof scopes)[number];

/** Calling tools or reading resources is of no use without the lists: the broader scopes include `mcp:read`. */
const includes: Readonly<Record<Scope, readonly Scope[]>> = {
  "mcp:read": ["mcp:read"],
  "mcp:call": ["mcp:call", "mcp:read"],
  "mcp:resources": ["mcp:resources", "mcp:read"],
};

/** Everything that these scopes allow (MCP: scope hierarchies count). */
export function allowedBy(given: readonly Scope[]): ReadonlySet<Scope> {
  return new Set(given.flatMap((scope) => includes[scope]));
}

/** The scopes of a space-separated list that we know; whatever else a client asks for is passed over. */
export function readScopes(text: string | undefined): readonly Scope[] {
  const words = new Set((text ?? "").split(" "));
  return scopes.filter((scope) => words.has(scope));
}

/** Which scope an MCP method needs. A method nobody has heard of needs what tools do. */
export function scopeFor(method: string): Scope {
  if (resourceMethods.has(method)) return "mcp:resources";
  return readMethods.test(method) ? "mcp:read" : "mcp:call";
}

const resourceMethods = new Set([
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "subscriptions/listen",
]);

const readMethods =
  /^(initialize|ping|server\/discover|completion\/complete|logging\/setLevel|prompts\/get|(tools|prompts|resources|resources\/templates)\/list|notifications\/.+)$/;
