/** The least a Bun gateway can do: `Bun.serve`, the body read whole, `fetch`, the answer handed on as it is. */
import { announce } from "./child.ts";

const upstream = process.argv[2];
if (upstream === undefined) throw new Error("usage: stand-in.ts <upstream-url>");

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  development: false,
  fetch: passOn(upstream),
});
announce({ url: `http://127.0.0.1:${server.port}/mcp` });

function passOn(upstream: string): (request: Request) => Promise<Response> {
  return async (request) => {
    const headers = new Headers(request.headers);
    headers.delete("host");
    headers.delete("connection");
    headers.set("accept-encoding", "identity");
    return fetch(upstream, {
      method: request.method,
      headers,
      body: request.method === "POST" ? await request.arrayBuffer() : null,
      signal: request.signal,
      redirect: "manual",
      timeout: false,
    });
  };
}
