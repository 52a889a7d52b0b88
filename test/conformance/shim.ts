import {
  Agent,
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from "node:http";

type Shim = {
  readonly port: number;
  stop(): Promise<void>;
};

/**
 * Stands between the suite, which cannot send credentials, and a protected server on the loopback
 * interface: adds a bearer token, lets `Host` and `Origin` name the target's port and passes
 * everything else on as it came, in both directions and without waiting for a body to end.
 */
export async function startShim(to: { targetPort: number; token: string }): Promise<Shim> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((request, response) => {
    pass(request, response, { ...to, port: portOf(server), agent });
  });
  // An event stream may stay silent for longer than any default allows.
  server.requestTimeout = 0;
  server.timeout = 0;
  server.keepAliveTimeout = 0;

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });

  return {
    port: portOf(server),
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

type Route = { targetPort: number; token: string; port: number; agent: Agent };

function pass(request: IncomingMessage, response: ServerResponse, route: Route): void {
  const upstream = httpRequest({
    host: "127.0.0.1",
    port: route.targetPort,
    method: request.method,
    path: request.url,
    headers: rewriteHeaders(request.rawHeaders, route),
    setHost: false,
    agent: route.agent,
  });
  upstream.on("response", (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    // The head must arrive before the first event of a stream does.
    response.flushHeaders();
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  });
  upstream.on("error", () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  response.on("close", () => {
    if (!response.writableFinished) upstream.destroy();
  });
  request.pipe(upstream);
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("The shim is not listening");
  return address.port;
}

/** Hostile values of `Host` and `Origin` pass verbatim: refusing them is the target's duty. */
function rewriteHeaders(rawHeaders: readonly string[], route: Route): string[] {
  const headers = ["Authorization", `Bearer ${route.token}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    const value = rawHeaders[index + 1]!;
    switch (name.toLowerCase()) {
      case "authorization":
        break;
      case "host":
      case "origin":
        headers.push(name, value.replace(`:${route.port}`, `:${route.targetPort}`));
        break;
      default:
        headers.push(name, value);
    }
  }
  return headers;
}
