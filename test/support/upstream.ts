/** An MCP upstream that does whatever a test tells it, and remembers what it was sent. */
export type ScriptedUpstream = AsyncDisposable & {
  readonly url: string;
  readonly seen: { method: string; path: string; headers: Headers; body: string }[];
};

export function scriptedUpstream(
  answer: (request: Request) => Response | Promise<Response>,
): ScriptedUpstream {
  const seen: ScriptedUpstream["seen"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const url = new URL(request.url);
      const body = await request.clone().text();
      seen.push({
        method: request.method,
        path: url.pathname + url.search,
        headers: request.headers,
        body,
      });
      return answer(request);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    seen,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** Settings that point the upstream `mercadolibre` at another address. */
export function pointedAt(url: string, more: Readonly<Record<string, unknown>> = {}) {
  return { SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url }, ...more }) };
}
