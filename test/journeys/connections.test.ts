import { describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { newBearer } from "#test/support/browser-like.ts";
import { effectUnknown, post, toolCall } from "#test/support/mcp.ts";
import { pointedAt } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";

type Asked = { readonly method: string; readonly text: string; readonly connection: number };
type Answering = (socket: Socket, asked: Asked, times: number) => void;

/** An upstream of raw bytes. `times`: the how-manieth request of its connection this is. */
async function rawUpstream(answering: Answering) {
  const asked: Asked[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const connection = connections;
    let [times, text] = [0, ""];
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end === -1 || text.length < end + 4 + length) return;
      const body = text.slice(end + 4);
      text = "";
      times += 1;
      const method = /"method":"([^"]+)"/.exec(body)?.[1] ?? "";
      const one = { method, text: body, connection };
      asked.push(one);
      answering(socket, one, times);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    asked,
    /** That something was asked on. */
    connections: () => new Set(asked.map(({ connection }) => connection)).size,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

const ok = '{"jsonrpc":"2.0","id":1,"result":{}}';

function say(
  socket: Socket,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
) {
  const lines = Object.entries({
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(Buffer.from(`HTTP/1.1 200 OK\r\n${lines.join("")}\r\n`, "utf8"));
  socket.write(body);
}

const rpc = (method: string, params: object = {}) => ({ jsonrpc: "2.0", id: 1, method, params });

async function openScene(url: string): Promise<AsyncDisposable & { world: World; bearer: string }> {
  const world = await openWorld({
    environment: { ...pointedAt(url), SMARTDASH_APPROVAL: "off", SMARTDASH_TOOL_PINNING: "report" },
  });
  const bearer = await newBearer({ url: world.url });
  return { world, bearer, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

const losses: Readonly<Record<string, Answering>> = {
  "before a byte came": (socket) => socket.destroy(),
  "within the head": (socket) => void socket.end("HTTP/1.1 200 OK\r\ncontent-ty"),
  "within the body": (socket) =>
    void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{"jsonrpc":'),
  "within a chunk": (socket) =>
    void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5a\r\n{"jsonrpc":'),
};

describe("a call whose connection is lost after it was sent is told so, and not sent again", () => {
  for (const [name, lose] of Object.entries(losses)) {
    test.concurrent(name, async () => {
      await using upstream = await rawUpstream(lose);
      await using scene = await openScene(upstream.url);
      const { world, bearer } = scene;
      const answer = await post(`${world.url}/mcp`, bearer, toolCall("create_order"));
      expect([answer.status, await answer.json()]).toMatchObject([
        200,
        effectUnknown("upstream_broke_off"),
      ]);
      expect(upstream.asked.length).toBe(1);
      // The audit trail has what the call met, not the form of its answer.
      await world.gateway.stop();
      const [row] = await world.database.open.sql`select status, failure from calls`;
      expect(row).toMatchObject({ status: 502, failure: "upstream_broke_off" });
    });
  }

  test.concurrent("in a batch", async () => {
    await using upstream = await rawUpstream((socket) => socket.destroy());
    await using scene = await openScene(upstream.url);
    const batch = [rpc("ping"), toolCall("create_order", {}, 2)];
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, batch);
    expect([answer.status, await answer.text()]).toEqual([
      502,
      expect.stringContaining("look before you repeat it"),
    ]);
    expect(upstream.asked.length).toBe(1);
  });

  test.concurrent("nor a question's answer, alone, in a batch, or with what is asked again", async () => {
    await using upstream = await rawUpstream((socket) => socket.destroy());
    await using scene = await openScene(upstream.url);
    const answered = { jsonrpc: "2.0", id: 7, result: { action: "accept" } };
    const again = rpc("prompts/get", { name: "p", inputResponses: { a: { action: "accept" } } });
    for (const body of [answered, [answered, rpc("ping")], again, [rpc("ping"), again]]) {
      const before = upstream.asked.length;
      await (await post(`${scene.world.url}/mcp`, scene.bearer, body)).text();
      expect(upstream.asked.length - before).toBe(1);
    }
  });

  test.concurrent("a redirect is an answer, too", async () => {
    await using upstream = await rawUpstream(
      (socket) =>
        void socket.end(
          "HTTP/1.1 303 See Other\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        ),
    );
    await using scene = await openScene(upstream.url);
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, toolCall("create_order"));
    expect(await answer.json()).toMatchObject(effectUnknown("upstream_redirected"));
  });
});

describe("what can be repeated is sent once more, on a new connection", () => {
  const tools = [
    { name: "read", inputSchema: {}, annotations: { readOnlyHint: true } },
    { name: "write", inputSchema: {}, annotations: { readOnlyHint: false } },
    { name: "again", inputSchema: {}, annotations: { idempotentHint: true } },
    { name: "silent", inputSchema: {} },
  ];
  const answerTo = (socket: Socket, { method }: Asked) =>
    say(socket, method === "tools/list" ? ok.replace("{}", JSON.stringify({ tools })) : ok);

  test.concurrent("lists, reads, initialize and ping; of tools those that say that they read", async () => {
    await using upstream = await rawUpstream((socket, asked, times) => {
      if (times === 2) socket.destroy();
      else answerTo(socket, asked);
    });
    await using scene = await openScene(upstream.url);
    const ask = async (body: unknown) => {
      const before = upstream.asked.length;
      const answer = await post(`${scene.world.url}/mcp`, scene.bearer, body);
      const text = await answer.text();
      return [
        text.includes('"isError":true') ? "lost" : answer.status,
        upstream.asked.length - before,
      ];
    };
    // Each first one leaves a connection that dies with the next request.
    expect(await ask(rpc("tools/list"))).toEqual([200, 1]);
    for (const method of [
      "tools/list",
      "ping",
      "initialize",
      "resources/read",
      "prompts/get",
      "completion/complete",
    ]) {
      expect([method, ...(await ask(rpc(method)))]).toEqual([method, 200, 2]);
    }
    expect(await ask(toolCall("read"))).toEqual([200, 2]);
    for (const name of ["write", "again", "silent", "unknown"]) {
      expect([name, ...(await ask(toolCall(name)))]).toEqual([name, "lost", 1]);
      expect(await ask(rpc("ping"))).toEqual([200, 1]);
    }
    expect(await ask(rpc("logging/setLevel"))).toEqual([502, 1]);
  });

  test.concurrent("once: an upstream that always breaks off is asked twice", async () => {
    await using upstream = await rawUpstream((socket) => socket.destroy());
    await using scene = await openScene(upstream.url);
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, rpc("ping"));
    expect([answer.status, upstream.asked.length, upstream.connections()]).toEqual([502, 2, 2]);
  });

  test.concurrent("not when something of an answer has come", async () => {
    await using upstream = await rawUpstream((socket) => void socket.end("HTTP/1.1 200 OK\r\n"));
    await using scene = await openScene(upstream.url);
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, rpc("ping"));
    expect([answer.status, upstream.asked.length]).toEqual([502, 1]);
  });
});

describe("what servers really send", () => {
  const big = '"12345678901234567890123456789012345678901234567890"';
  const ids = ["12345678901234567890", "1.0", "1e2", "-0", "0.1e-7", big, '"ñ"'];

  test.concurrent.each(ids)("the id %s comes back as it was written", async (id) => {
    await using upstream = await rawUpstream((socket, { text }) => {
      if (text.includes('"lost"')) {
        socket.destroy();
        return;
      }
      // As most servers: what JSON made of it.
      const parsed: unknown = JSON.parse(Buffer.from(text, "latin1").toString());
      say(
        socket,
        JSON.stringify({ jsonrpc: "2.0", id: (parsed as { id: unknown }).id, result: {} }),
      );
    });
    await using scene = await openScene(upstream.url);
    for (const [name, where] of [
      ["fine", `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"fine"}}`],
      [
        "lost",
        `{"method":"tools/call","params":{"name":"lost","id":7},"jsonrpc":"2.0", "id" : ${id} }`,
      ],
    ] as const) {
      const answer = await fetch(`${scene.world.url}/mcp`, {
        method: "POST",
        headers: { authorization: `Bearer ${scene.bearer}`, "content-type": "application/json" },
        body: where,
      });
      const text = await answer.text();
      expect([name, answer.status]).toEqual([name, 200]);
      if (name === "lost") expect(text).toContain(`"id":${id}`);
      else expect(text).not.toContain("another request");
    }
  });

  test.concurrent.each([
    ["a name in UTF-8", { "x-served-by": "Überblick Straße 日本" }],
    ["every byte that may be", { "x-bytes": "\u0080\u0085\u00a0 \u00ff\u00a0" }],
  ] as const)("a header with %s", async (_, headers) => {
    await using upstream = await rawUpstream((socket) => say(socket, ok, headers));
    await using scene = await openScene(upstream.url);
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, rpc("ping"));
    expect([answer.status, await answer.text()]).toEqual([200, ok]);
  });

  test.concurrent.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["deflate", deflateRawSync],
  ] as const)("%s, in pieces of one byte", async (coding, encode) => {
    await using upstream = await rawUpstream((socket) => {
      const chunks = [...encode(ok)].map((byte) =>
        Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]),
      );
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: ${coding}\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      for (const chunk of chunks) socket.write(chunk);
      socket.write("0\r\n\r\n");
    });
    await using scene = await openScene(upstream.url);
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, rpc("ping"));
    expect([answer.status, await answer.text()]).toEqual([200, ok]);
  });

  test.concurrent("trailers, long ones too, and the connection goes on", async () => {
    const trailers = `server-timing: ${"x".repeat(8000)}\r\nx-b: ü\r\n`;
    await using upstream = await rawUpstream(
      (socket) =>
        void socket.write(
          `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntrailer: server-timing\r\ntransfer-encoding: chunked\r\n\r\n${ok.length.toString(16)};ext=1\r\n${ok}\r\n0\r\n${trailers}\r\n`,
        ),
    );
    await using scene = await openScene(upstream.url);
    for (let count = 0; count < 3; count += 1) {
      const answer = await post(`${scene.world.url}/mcp`, scene.bearer, rpc("ping"));
      expect([answer.status, await answer.text()]).toEqual([200, ok]);
    }
    expect(upstream.connections()).toBe(1);
  });

  test.concurrent("a session id as long as a header may be goes to and fro; a longer one is refused at once", async () => {
    let length = 8000;
    await using upstream = await rawUpstream((socket) =>
      say(socket, ok, { "mcp-session-id": "s".repeat(length) }),
    );
    await using scene = await openScene(upstream.url);
    const { world, bearer } = scene;
    const begun = await post(`${world.url}/mcp`, bearer, rpc("initialize"));
    const session = begun.headers.get("mcp-session-id") ?? "";
    const next = await post(`${world.url}/mcp`, bearer, rpc("ping"), { "mcp-session-id": session });
    expect([begun.status, next.status]).toEqual([200, 200]);
    length = 8192;
    const refused = await post(`${world.url}/mcp`, bearer, rpc("initialize"));
    expect([refused.status, await refused.text()]).toEqual([
      502,
      expect.stringContaining("session id is longer than 8169 characters"),
    ]);
  });

  test.concurrent.each([
    ["30", "30"],
    ["999999", "3600"],
    [new Date(Date.now() + 86_400_000).toUTCString(), "3600"],
    [new Date(0).toUTCString(), "0"],
    ["soon", null],
  ])("Retry-After: %s is %s for the client", async (sent, told) => {
    await using upstream = await rawUpstream(
      (socket) =>
        void socket.write(
          `HTTP/1.1 429 Too Many\r\nretry-after: ${sent}\r\ncontent-length: 0\r\n\r\n`,
        ),
    );
    await using scene = await openScene(upstream.url);
    const answer = await post(`${scene.world.url}/mcp`, scene.bearer, rpc("ping"));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, told]);
  });
});

describe("big answers", () => {
  const tool = { name: "t", description: "d".repeat(45_000), inputSchema: { type: "object" } };
  const list = (bytes: number) =>
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      result: {
        tools: Array.from({ length: Math.ceil(bytes / 45_000) }, (_, at) => ({
          ...tool,
          name: `t${at}`,
        })),
      },
    });
  const nested = (bytes: number) =>
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      result: { content: [], structuredContent: { tools: ["x".repeat(bytes)] } },
    });
  const mebibyte = 1024 * 1024;
  const kinds: Readonly<Record<string, (socket: Socket, text: string) => void>> = {
    JSON: (socket, text) => say(socket, text),
    "JSON in chunks": (socket, text) => {
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n0\r\n\r\n`);
    },
    "an event": (socket, text) =>
      say(socket, `event: message\ndata: ${text}\n\n`, { "content-type": "text/event-stream" }),
  };
  for (const [name, answering] of Object.entries(kinds)) {
    test(`${name}: a list of tools, and what only looks like one, up to 16 MiB; beyond, the limit is named`, async () => {
      let text = "";
      await using upstream = await rawUpstream((socket) => answering(socket, text));
      await using scene = await openScene(upstream.url);
      const ask = async (body: unknown) => {
        const answer = await post(`${scene.world.url}/mcp`, scene.bearer, body);
        return (await answer.text()).replace(/^: open\n\n/, "");
      };
      text = list(9 * mebibyte);
      expect((await ask(rpc("tools/list"))).length).toBeGreaterThan(9 * mebibyte);
      text = nested(9 * mebibyte);
      expect((await ask(toolCall("x"))).length).toBeGreaterThan(9 * mebibyte);
      text = list(17 * mebibyte);
      expect(await ask(rpc("tools/list"))).toContain("larger than 16 MiB");
      text = list(2 * mebibyte);
      const stray = await ask(toolCall("x"));
      expect(stray).toContain("a list of tools that nobody had asked for");
      expect(stray).toContain("upstream_invalid");
    }, 60_000);
  }
});
