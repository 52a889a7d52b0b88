import { expect, test } from "bun:test";
import { connect } from "node:net";
import { bunRuntime } from "#src/runtime/bun.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";

const app = "https://app.example.com";
const preflight = (
  url: string,
  origin: string,
  headers = "authorization, mcp-protocol-version, mcp-param-base, x-other",
) =>
  fetch(url, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": headers,
    },
  });

test("pages of declared origins may ask programs' addresses, and read what they need of the answers", async () => {
  await using world = await openWorld({ environment: { ALLOWED_ORIGINS: app } });
  const bearer = await newBearer({ url: world.url });
  for (const path of [
    "/mcp",
    "/mcp/mercadolibre",
    "/token",
    "/register",
    "/.well-known/oauth-authorization-server",
  ]) {
    const answer = await preflight(`${world.url}${path}`, app);
    expect([path, answer.status]).toEqual([path, 204]);
    expect(answer.headers.get("access-control-allow-origin")).toBe(app);
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
    const allowed = answer.headers.get("access-control-allow-headers") ?? "";
    expect(allowed).toContain("mcp-session-id");
    expect(allowed).toContain("mcp-param-base");
    expect(allowed).not.toContain("x-other");
  }
  const called = await post(`${world.url}/mcp`, bearer, toolCall("whoami"), { origin: app });
  expect([called.status, called.headers.get("access-control-allow-origin")]).toEqual([200, app]);
  expect(called.headers.get("access-control-expose-headers")).toContain("mcp-session-id");
  expect(called.headers.get("vary")).toContain("origin");
  const challenge = await post(`${world.url}/mcp`, "nobody", toolCall("whoami"), { origin: app });
  expect([challenge.status, challenge.headers.get("access-control-allow-origin")]).toEqual([
    401,
    app,
  ]);
});

test("other origins get nothing, and pages of people are nobody else's, declared or not", async () => {
  await using world = await openWorld({ environment: { ALLOWED_ORIGINS: app } });
  const bearer = await newBearer({ url: world.url });
  for (const origin of [
    "https://evil.example",
    `${app}.evil.example`,
    "https://app.example.com:8443",
    "http://app.example.com",
    "null",
  ]) {
    const asked = [
      await preflight(`${world.url}/mcp`, origin),
      await post(`${world.url}/mcp`, bearer, toolCall("whoami"), { origin }),
    ];
    for (const answer of asked) {
      expect([origin, answer.status]).toEqual([origin, 403]);
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    }
  }
  for (const path of ["/", "/sessions", "/authorize", "/auth/authorize", "/approvals/x"]) {
    const answer = await preflight(`${world.url}${path}`, app);
    expect([path, answer.status]).toEqual([path, 403]);
  }
  // Without declared origins there is no CORS at all.
  await using closed = await openWorld();
  expect((await preflight(`${closed.url}/mcp`, app)).status).toBe(403);
});

test("an origin with a path, or none at all, is refused in the settings", async () => {
  const { loadConfig } = await import("#src/config/load.ts");
  for (const wrong of [
    "https://app.example.com/",
    "https://app.example.com/x",
    "app.example.com",
    "*",
  ]) {
    const { problems } = loadConfig({ ALLOWED_ORIGINS: wrong });
    expect([wrong, problems.map(({ setting }) => setting)]).toEqual([wrong, ["ALLOWED_ORIGINS"]]);
  }
});

test("one address is slowed down at /authorize, and where clients prove themselves only for what fails", async () => {
  await using world = await openWorld();
  const answersTo = async (count: number, ask: () => Promise<Response>) => {
    const answers = await Promise.all(Array.from({ length: count }, ask));
    return answers.map(({ status }) => status);
  };
  const statuses = async (count: number, ask: () => Promise<Response>) =>
    new Set(await answersTo(count, ask));
  expect(await statuses(119, () => fetch(`${world.url}/authorize?client_id=x`))).not.toContain(429);
  expect(await statuses(20, () => fetch(`${world.url}/authorize?client_id=x`))).toContain(429);
  const guess = () =>
    fetch(`${world.url}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa("agent_x:guess")}` },
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    });
  expect(await statuses(290, guess)).toEqual(new Set([401]));
  const began = performance.now();
  // Those that are under way at the same time are counted when they have failed.
  await statuses(40, guess);
  const last = await answersTo(20, guess);
  // 300 a minute come back meanwhile.
  const most = Math.ceil((5 * (performance.now() - began)) / 1000);
  expect(new Set(last)).toContain(429);
  expect(last.filter((status) => status === 401).length).toBeLessThanOrEqual(most);
});

/** How long a connection is kept whose client says this, piece by piece, one a second. */
function keptMs(port: number, pieces: readonly string[], mostMs: number): Promise<number> {
  const started = performance.now();
  const { promise, resolve } = Promise.withResolvers<number>();
  const socket = connect(port, "127.0.0.1");
  const over = () => {
    clearInterval(timer);
    clearTimeout(limit);
    resolve(performance.now() - started);
    socket.destroy();
  };
  const left = [...pieces];
  const timer = setInterval(() => {
    const piece = left.shift();
    if (piece !== undefined) socket.write(piece);
  }, 1000);
  const limit = setTimeout(over, mostMs);
  socket.on("close", over).on("error", () => undefined);
  return promise;
}

test("a head that drips is cut, an answer that takes its time and a quiet stream are not", async () => {
  const serving = bunRuntime.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxBodyBytes: 1024,
    headSeconds: 4,
    handle: async (request) => {
      if (request.url.endsWith("/stream")) {
        const body = new ReadableStream({
          start: (out) => out.enqueue(new TextEncoder().encode(": x\n\n")),
        });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      }
      await Bun.sleep(9000);
      return new Response("slow");
    },
  });
  const mostMs = 16_000;
  const drip = ["GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", ...Array<string>(20).fill("a")];
  const [nothing, half, dripped, stream, slow] = await Promise.all([
    keptMs(serving.port, [], mostMs),
    keptMs(serving.port, ["GET / HTTP/1.1\r\nHost: x\r\n"], mostMs),
    keptMs(serving.port, drip, mostMs),
    keptMs(serving.port, ["GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"], mostMs),
    fetch(`http://127.0.0.1:${serving.port}/`).then((answer) => answer.text()),
  ]);
  await serving.stop(0);
  expect(slow).toBe("slow");
  for (const cut of [nothing, half, dripped]) expect(cut).toBeLessThan(14_000);
  expect(stream).toBeGreaterThan(15_000);
}, 30_000);
