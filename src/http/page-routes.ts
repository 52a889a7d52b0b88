import type { Hono } from "hono";

/** The router of everything that is not an MCP address. */
export type PageRoutes = Hono<{
  Bindings: {
    readonly requestId: string;
    /** The client's address, for limits. */
    readonly address: () => string;
  };
}>;
