import { expect, test } from "bun:test";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { modernMeta, openSpied, sendRaw, statusesIn } from "./setup.ts";

/** One address of every kind that is served. */
const paths: readonly (readonly [string, string])[] = [
  ["POST", "/mcp"],
  ["GET", "/mcp"],
  ["DELETE", "/api/mcp/mercadolibre"],
  ["GET", "/api/mcp/mercadolibre/health"],
  ["GET", "/authorize"],
  ["POST", "/authorize"],
  ["POST", "/token"],
  ["POST", "/mcp/auth/token"],
  ["POST", "/register"],
  ["POST", "/revoke"],
  ["POST", "/introspect"],
  ["POST", "/device_authorization"],
  ["GET", "/device"],
  ["GET", "/jwks"],
  ["GET", "/.well-known/oauth-authorization-server"],
  ["GET", "/.well-known/oauth-protected-resource/mcp"],
  ["GET", "/auth/authorize"],
  ["GET", "/auth/callback"],
  ["POST", "/api/auth/direct"],
  ["POST", "/sessions"],
  ["GET", "/health"],
  ["GET", "/livez"],
  ["GET", "/readyz"],
  ["GET", "/"],
  ["GET", "/nothing-here"],
];

test("DR-1: a foreign Host or Origin is refused at every address, before anything else is looked at", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const port = new URL(world.url).port;
  const foreign: readonly Readonly<Record<string, string>>[] = [
    { host: "evil.example" },
    { host: `evil.example:${port}` },
    { host: `localhost.evil.example:${port}` },
    { host: `localhost:${Number(port) + 1}` },
    { host: "127.0.0.1.nip.io" },
    { origin: "http://evil.example" },
    { origin: `http://evil.example:${port}` },
  ];
  for (const [method, path] of paths) {
    for (const headers of foreign) {
      const refused = await fetch(`${world.url}${path}`, { method, headers, redirect: "manual" });
      expect([method, path, headers, refused.status]).toEqual([method, path, headers, 403]);
      expect(await refused.text()).toMatch(/host_refused|origin_refused/);
      expect(refused.headers.get("access-control-allow-origin")).toBeNull();
    }
  }
  for (const headers of foreign) {
    const refused = await post(`${world.url}/mcp`, access_token, toolCall("echo"), headers);
    expect(refused.status).toBe(403);
  }
  expect(upstream.seen).toHaveLength(0);
  expect((await post(`${world.url}/mcp`, access_token, toolCall("echo"))).status).toBe(200);
});

test("DR-1: a request without a Host, or with two, reaches nobody", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const body = JSON.stringify(toolCall("echo"));
  const { host } = new URL(world.url);
  const requestWith = (hosts: string) =>
    `POST /mcp HTTP/1.1\r\n${hosts}Authorization: Bearer ${access_token}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  for (const hosts of [
    "",
    "Host:\r\n",
    `Host: ${host}\r\nHost: evil.example\r\n`,
    `Host: evil.example\r\nHost: ${host}\r\n`,
    `Host: ${host}, evil.example\r\n`,
    `Host: evil.example\r\nX-Forwarded-Host: ${host}\r\n`,
  ]) {
    for (const status of statusesIn(await sendRaw(world.url, requestWith(hosts)))) {
      expect([hosts, [400, 403].includes(status)]).toEqual([hosts, true]);
    }
  }
  expect(upstream.seen).toHaveLength(0);
  const right = await sendRaw(world.url, requestWith(`Host: ${host}\r\n`));
  expect(statusesIn(right)).toEqual([200]);
});

test("DR-1: a host that stands in the request line instead is repeated in no answer", async () => {
  await using spied = await openSpied();
  const { url } = spied.world;
  const { host } = new URL(url);
  const asked = (path: string, lines: string) =>
    sendRaw(url, `GET http://evil.example${path} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`);
  for (const [, path] of paths) {
    expect(await asked(path, `Host: ${host}\r\n`)).not.toContain("evil.example");
    const [status = 403] = statusesIn(await asked(path, "Host: evil.example\r\n"));
    expect([path, status]).toEqual([path, 403]);
  }
  expect(spied.upstream.seen).toHaveLength(0);
});

test("DR-2: an Origin is ours letter by letter or not at all", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const port = new URL(world.url).port;
  const call = (origin: string, more = {}) =>
    post(`${world.url}/mcp`, access_token, toolCall("echo"), { origin, ...more });
  for (const origin of [
    "null",
    "",
    "http://localhost",
    `http://localhost:${Number(port) + 1}`,
    `http://localhost:${port}/`,
    `http://localhost:${port}.evil.example`,
    `http://localhost.evil.example:${port}`,
    `http://evil-localhost:${port}`,
    `http://127.0.0.1.nip.io:${port}`,
    `http://127.1:${port}`,
    `http://user@localhost:${port}`,
    `https://localhost:${port}`,
    `HTTP://LOCALHOST:${port}`,
    `http://localhost:${port}, http://evil.example`,
    `http://localhost:0${port}`,
    "*",
  ]) {
    expect([origin, (await call(origin)).status]).toEqual([origin, 403]);
  }
  for (const site of ["cross-site", "same-site", "none"]) {
    expect((await call("null", { "sec-fetch-site": site })).status).toBe(403);
  }
  expect(upstream.seen).toHaveLength(0);
  for (const origin of [world.url, `http://127.0.0.1:${port}`, `http://[::1]:${port}`]) {
    expect([origin, (await call(origin)).status]).toEqual([origin, 200]);
  }
});

/** A call on a bare socket, with header lines as a test wants them. */
function rawCall(url: string, token: string, lines: readonly string[]): string {
  const body = JSON.stringify(toolCall("echo"));
  return [
    "POST /mcp HTTP/1.1",
    `Host: ${new URL(url).host}`,
    `Authorization: Bearer ${token}`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Connection: close",
    ...lines,
    "",
    body,
  ].join("\r\n");
}

test("HI-1: headers with control characters, too long or given twice are refused or never reach the upstream", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const refused = [
    "Mcp-Name: a\0b",
    "Mcp-Name: a\rX-Injected: 1",
    "Mcp-Name : echo",
    "Mcp Name: echo",
    ": empty",
    "no colon",
    `Mcp-Name: ${"x".repeat(70_000)}`,
    `Authorization: Bearer ${access_token}`,
    "Authorization: Bearer other",
    `Mcp-Session-Id: a\r\nMcp-Session-Id: b`,
    "Content-Length: 5",
  ];
  for (const line of refused) {
    const answer = await sendRaw(world.url, rawCall(world.url, access_token, [line]));
    const [status = 0] = statusesIn(answer);
    expect([line.slice(0, 40), status === 0 || (status >= 400 && status < 500)]).toEqual([
      line.slice(0, 40),
      true,
    ]);
  }
  expect(upstream.seen).toHaveLength(0);
  const inert = ["Mcp-Name: \u00e9\u00fc", "X-Folded: a\r\n X-Injected: 1", "X-Long: a\tb"];
  for (const line of inert) await sendRaw(world.url, rawCall(world.url, access_token, [line]));
  expect(upstream.seen.length).toBeLessThanOrEqual(inert.length);
  for (const { headers, method, path } of upstream.seen) {
    expect([method, path, headers.get("x-injected")]).toEqual(["POST", "/mcp", null]);
    expect(headers.get("mcp-name") ?? "").not.toMatch(/[\r\n\0]/);
  }
  const before = upstream.seen.length;
  expect(statusesIn(await sendRaw(world.url, rawCall(world.url, access_token, [])))).toEqual([200]);
  expect(upstream.seen).toHaveLength(before + 1);
});

test("HI-1: a second request hidden in the body of a first is not served", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const { host } = new URL(world.url);
  const hidden = `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${access_token}\r\nContent-Length: 63\r\n\r\n{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"n":1}}`;
  const chunked = `0\r\n\r\n${hidden}`;
  const start = `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${access_token}\r\nContent-Type: application/json\r\n`;
  const attempts: Readonly<Record<string, string>> = {
    "length, then chunked": `Content-Length: ${chunked.length}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    "chunked, then length": `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunked}`,
    "two lengths": `Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    "two lengths in one": `Content-Length: 0, ${hidden.length}\r\n\r\n${hidden}`,
    "signed length": `Content-Length: +0\r\n\r\n${hidden}`,
    "chunked in disguise": `Transfer-Encoding: xchunked\r\nContent-Length: ${chunked.length}\r\n\r\n${chunked}`,
    "chunked with a space before the colon": `Transfer-Encoding : chunked\r\nContent-Length: ${chunked.length}\r\n\r\n${chunked}`,
    "chunked after a tab": `Transfer-Encoding:\tchunked\r\nContent-Length: ${chunked.length}\r\n\r\n${chunked}`,
    "chunked, then identity": `Transfer-Encoding: chunked, identity\r\nContent-Length: ${chunked.length}\r\n\r\n${chunked}`,
    "a chunk size with a sign": `Transfer-Encoding: chunked\r\n\r\n-1\r\n${chunked}`,
    "a chunk longer than it says": `Transfer-Encoding: chunked\r\n\r\n1\r\n{}${chunked}`,
    "bare line feeds": `Content-Length: 0\n\n${hidden}`,
  };
  for (const [name, rest] of Object.entries(attempts)) {
    const answer = await sendRaw(world.url, start + rest);
    expect([name, statusesIn(answer).filter((status) => status < 400)]).toEqual([name, []]);
    expect([name, upstream.seen.length]).toEqual([name, 0]);
  }
  const pipelined = `${start}Content-Length: 2\r\n\r\n{}${hidden}`;
  await sendRaw(world.url, pipelined);
  expect(upstream.seen.length).toBeLessThanOrEqual(2);
});

test("HI-1: what an upstream answers cannot become a second answer of ours", async () => {
  const evil = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  await using spied = await openSpied(
    () => new Response(`{}\r\n\r\n${evil}`, { headers: { "content-type": "application/json" } }),
  );
  const { access_token } = (await authorizedAgent(spied.world.url)).tokens;
  const answer = await sendRaw(spied.world.url, rawCall(spied.world.url, access_token, []));
  const [head = "", ...body] = answer.split("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  expect(Buffer.byteLength(body.join("\r\n\r\n"))).toBe(length);
});

test("HI-2: Connection names no header away that was looked at", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const body = JSON.stringify({ ...toolCall("echo"), params: { name: "echo", _meta: modernMeta } });
  const request = (connection: string, name: string) =>
    [
      "POST /mcp HTTP/1.1",
      `Host: ${new URL(world.url).host}`,
      `Connection: ${connection}`,
      `Authorization: Bearer ${access_token}`,
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
      "MCP-Protocol-Version: 2026-07-28",
      "Mcp-Method: tools/call",
      `Mcp-Name: ${name}`,
      "",
      body,
    ].join("\r\n");
  const named = "close, Mcp-Name, Mcp-Method, MCP-Protocol-Version, Authorization, Content-Type";
  expect(statusesIn(await sendRaw(world.url, request(named, "other")))).toEqual([400]);
  expect(upstream.seen).toHaveLength(0);
  expect(statusesIn(await sendRaw(world.url, request(named, "echo")))).toEqual([200]);
  const sent = upstream.seen[0]!.headers;
  expect(sent.get("mcp-name")).toBe("echo");
  expect(sent.get("mcp-method")).toBe("tools/call");
  expect(sent.get("mcp-protocol-version")).toBe("2026-07-28");
  expect(sent.get("authorization")).toStartWith("Bearer APP_USR-");
  expect(sent.get("connection") ?? "").not.toMatch(/mcp/i);
});
