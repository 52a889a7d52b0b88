import type { Runtime } from "#src/runtime/runtime.ts";

type Received = {
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
};

/** Takes whatever is sent to it, on loopback: the other end of alerts in a self-test. */
export type Receiver = {
  readonly url: string;
  readonly received: readonly Received[];
  stop(): Promise<void>;
};

export function startReceiver(runtime: Pick<Runtime, "serve">): Receiver {
  const received: Received[] = [];
  const serving = runtime.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxBodyBytes: 1024 * 1024,
    handle: async (request) => {
      const { pathname: path } = new URL(request.url);
      received.push({ path, headers: request.headers, body: await request.text() });
      return new Response("ok");
    },
  });
  return {
    url: `http://127.0.0.1:${serving.port}`,
    received,
    stop: () => serving.stop(0),
  };
}

/** An MCP server on loopback that opens an event stream, says one thing and then nothing more. */
export type SilentUpstream = {
  readonly url: string;
  /** How many of its streams their reader has left. */
  cancelled(): number;
  stop(): Promise<void>;
};

const encoder = new TextEncoder();

export function startSilentUpstream(runtime: Pick<Runtime, "serve">): SilentUpstream {
  let cancelled = 0;
  const serving = runtime.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxBodyBytes: 1024 * 1024,
    handle: () => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(encoder.encode("event: message\ndata: {}\n\n"));
        },
        cancel() {
          cancelled += 1;
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return {
    url: `http://127.0.0.1:${serving.port}/mcp`,
    cancelled: () => cancelled,
    stop: () => serving.stop(0),
  };
}
