import {
  type EventStore,
  isInitializeRequest,
  type JSONRPCMessage,
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";

import { buildFixtureServer, serveSubscriptions } from "./fixture-server.ts";

type LegacySessions = {
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
};

type Session = {
  readonly server: McpServer;
  readonly transport: WebStandardStreamableHTTPServerTransport;
};

/** Serves revisions up to 2025-11-25: one server and one resumable transport per `Mcp-Session-Id`. */
export function createLegacySessions(): LegacySessions {
  const sessions = new Map<string, Session>();

  return {
    async fetch(request) {
      const sessionId = request.headers.get("mcp-session-id");
      if (sessionId !== null) {
        const session = sessions.get(sessionId);
        if (!session) return rpcError(404, "Session not found");
        const response = await session.transport.handleRequest(request);
        return request.method === "GET" ? openAtOnce(response) : response;
      }
      if (request.method !== "POST") return rpcError(400, "Mcp-Session-Id header is required");

      const body: unknown = await request.json().catch(() => undefined);
      if (!isInitializeRequest(body)) return rpcError(400, "Mcp-Session-Id header is required");
      const session = await openSession(sessions);
      return session.transport.handleRequest(request, { parsedBody: body });
    },
    async close() {
      await Promise.all([...sessions.values()].map(({ server }) => server.close()));
      sessions.clear();
    },
  };
}

async function openSession(sessions: Map<string, Session>): Promise<Session> {
  const server = buildFixtureServer({
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
  });
  serveSubscriptions(server);
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    eventStore: rememberEvents(),
    retryInterval: 500,
    onsessioninitialized: (id) => void sessions.set(id, session),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  const session: Session = { server, transport };
  await server.connect(transport);
  return session;
}

/** Keeps every event of one session, so that `Last-Event-ID` can resume any of its streams. */
function rememberEvents(): EventStore {
  const events: { id: string; streamId: string; message: JSONRPCMessage }[] = [];
  const indexOf = (eventId: string) => events.findIndex(({ id }) => id === eventId);

  return {
    async storeEvent(streamId, message) {
      const id = `${streamId}/${events.length}`;
      events.push({ id, streamId, message });
      return id;
    },
    async getStreamIdForEventId(eventId) {
      return events[indexOf(eventId)]?.streamId;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const index = indexOf(lastEventId);
      const last = events[index];
      if (!last) throw new Error(`No event has the id ${lastEventId}`);
      // A priming event is stored as an empty message and is not replayed.
      const missed = events
        .slice(index + 1)
        .filter(({ streamId, message }) => streamId === last.streamId && "jsonrpc" in message);
      for (const { id, message } of missed) await send(id, message);
      return last.streamId;
    },
  };
}

/** Bun sends the head of a response with the first bytes of its body: a comment opens the stream. */
function openAtOnce(response: Response): Response {
  if (!response.ok || !response.body) return response;
  const opened = new TransformStream<Uint8Array, Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(": open\n\n")),
  });
  return new Response(response.body.pipeThrough(opened), response);
}

/** `-32001` is what the legacy SDKs answer here; the code is private to them. */
function rpcError(status: 400 | 404, message: string): Response {
  const code = status === 404 ? -32_001 : -32_000;
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status });
}
