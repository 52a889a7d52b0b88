import { CLIENT_CAPABILITIES_META_KEY, type ServerContext } from "@modelcontextprotocol/server";

type Declared = { sampling?: object; elicitation?: object; extensions?: object };

/** What the client of a 2026-07-28 request says it can do. The SDK leaves the envelope untyped. */
export function declaredCapabilities(ctx: ServerContext): Declared {
  const envelope: Readonly<Record<string, unknown>> = { ...ctx.mcpReq.envelope };
  const declared = envelope[CLIENT_CAPABILITIES_META_KEY];
  return typeof declared === "object" && declared !== null ? declared : {};
}
