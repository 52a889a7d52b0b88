import type { Runtime } from "#src/runtime/runtime.ts";

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
