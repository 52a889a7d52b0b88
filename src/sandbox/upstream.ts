import {
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
} from "@modelcontextprotocol/server";
import type { Seller } from "./sellers.ts";
import { buildShopServer } from "./mcp-shop.ts";

type SimulatedUpstream = {
  /** Answers MCP for whoever `holder` says the request is from; 401 for anybody else. */
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
};

type Session = {
  readonly transport: WebStandardStreamableHTTPServerTransport;
  readonly seller: Seller;
};

const mostSessions = 1000;

/** A complete MCP server with a shop behind it, in both protocol eras on one address. */
export function simulateUpstream(
  holder: (request: Request) => Seller | undefined,
): SimulatedUpstream {
  const sessions = new Map<string, Session>();
  const modern = new Map<string, ReturnType<typeof createMcpHandler>>();

  async function legacy(request: Request, seller: Seller): Promise<Response> {
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : sessions.get(id);
    if (id !== null && known?.seller.id !== seller.id) return rpcError(404, "Session not found");
    if (known !== undefined) return known.transport.handleRequest(request);
    const body: unknown = await request.json().catch(() => undefined);
    // A client that only sends one message (curl) is served without a session.
    const isSession = isInitializeRequest(body);
    const transport = await connect(
      buildShopServer(seller),
      isSession ? sessions : undefined,
      seller,
    );
    return transport.handleRequest(request, { parsedBody: body });
  }

  function handlerFor(seller: Seller) {
    const known =
      modern.get(seller.id) ??
      createMcpHandler(() => buildShopServer(seller), { legacy: "reject" });
    modern.set(seller.id, known);
    return known;
  }

  return {
    async fetch(request) {
      const seller = holder(request);
      if (seller === undefined) {
        return new Response(JSON.stringify({ error: "invalid_token" }), {
          status: 401,
          headers: {
            "content-type": "application/json",
            "www-authenticate": 'Bearer error="invalid_token"',
          },
        });
      }
      if (await isLegacyRequest(request)) return legacy(request, seller);
      return handlerFor(seller).fetch(request);
    },
    async close() {
      await Promise.all([...sessions.values()].map(({ transport }) => transport.close()));
      await Promise.all([...modern.values()].map((handler) => handler.close()));
    },
  };
}

async function connect(
  server: McpServer,
  sessions: Map<string, Session> | undefined,
  seller: Seller,
): Promise<WebStandardStreamableHTTPServerTransport> {
  const transport = new WebStandardStreamableHTTPServerTransport(
    sessions === undefined
      ? {}
      : {
          sessionIdGenerator: () => crypto.randomUUID(),
          onsessioninitialized: (id) => {
            const [oldest] = sessions.keys();
            if (sessions.size >= mostSessions && oldest !== undefined) sessions.delete(oldest);
            sessions.set(id, { transport, seller });
          },
          onsessionclosed: (id) => void sessions.delete(id),
        },
  );
  await server.connect(transport);
  return transport;
}

function rpcError(status: number, message: string): Response {
  return Response.json({ jsonrpc: "2.0", error: { code: -32_001, message }, id: null }, { status });
}
