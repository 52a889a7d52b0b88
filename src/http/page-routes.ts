import type { Hono } from "hono";

/** The router of everything that is not an MCP address. */
export type PageRoutes = Hono<{ Bindings: { readonly requestId: string } }>;
