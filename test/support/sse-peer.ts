/** A 2024-11-05 (HTTP+SSE) server in its smallest form: the stream names a root-relative endpoint. */
export type SsePeer = AsyncDisposable & {
  readonly url: string;
  readonly endpoints: readonly string[];
};

type Message = { readonly id?: number; readonly method?: string };

export function startSsePeer(): Promise<SsePeer> {
  const streams = new Map<string, (text: string) => void>();
  const endpoints: string[] = [];
  const encoder = new TextEncoder();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const url = new URL(request.url);
      if (request.method === "GET") {
        const id = crypto.randomUUID();
        endpoints.push(`/message?sessionId=${id}`);
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            const send = (text: string) => controller.enqueue(encoder.encode(text));
            streams.set(id, send);
            // In pieces, as a network may deliver it.
            send("event: end");
            setTimeout(() => send(`point\ndata: /message?sessionId=${id}\n\n`), 20);
          },
        });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      }
      const send = streams.get(url.searchParams.get("sessionId") ?? "");
      if (url.pathname !== "/message" || send === undefined)
        return new Response(null, { status: 404 });
      const message = (await request.json()) as Message;
      if (message.id !== undefined)
        send(`event: message\ndata: ${JSON.stringify(answerTo(message))}\n\n`);
      return new Response("Accepted", { status: 202 });
    },
  });
  return Promise.resolve({
    url: `http://127.0.0.1:${server.port}/sse`,
    endpoints,
    [Symbol.asyncDispose]: () => server.stop(true),
  });
}

function answerTo({ id, method }: Message) {
  const result =
    method === "initialize"
      ? {
          protocolVersion: "2024-11-05",
          capabilities: { tools: {} },
          serverInfo: { name: "old", version: "1" },
        }
      : { content: [{ type: "text", text: "hello from 2024" }] };
  return { jsonrpc: "2.0", id, result };
}
