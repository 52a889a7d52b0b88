import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { testDatabase } from "#test/support/database.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { serving } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { encryptionKey } from "#test/support/world.ts";
import { forwardTcp } from "./forwarder.ts";
import { newFolder, root, start } from "./program.ts";
import { accessToken, seededBearer } from "./seeded.ts";

setDefaultTimeout(60_000);

const deno = join(root, "node_modules/deno/deno");

test("under Deno the gateway serves the same source: health, JSON answers, event streams, an orderly end", async () => {
  await using database = await testDatabase();
  await using forwarder = await forwardTcp(database.url);
  // Deno lets a program into /dev, where the memory is, with every permission alone.
  await using folder = await newFolder("/tmp");
  await using upstream = scriptedUpstream(answerByTool);
  const shared = {
    SMARTDASH_SIGNUP: "open",
    ENCRYPTION_KEY: encryptionKey,
    MELI_CLIENT_ID: "4242",
    MELI_CLIENT_SECRET: "secret",
    LOG_LEVEL: "warn",
    ...pointedAt(upstream.url),
  };
  const bearer = await seededBearer({ ...shared, DATABASE_URL: database.url });

  await using program = start([deno, "task", "serve"], {
    cwd: root,
    environment: {
      ...shared,
      DATABASE_URL: forwarder.url,
      SMARTDASH_HOME: folder.path,
      PORT: "0",
      DRAIN_MS: "500",
      DENO_DIR: folder.path,
      DENO_NO_UPDATE_CHECK: "1",
    },
  });
  const [, url] = await program.says(serving);

  const health = await fetch(`${url}/health`);
  expect(health.status).toBe(200);
  expect(await health.json()).toMatchObject({
    status: "pass",
    checks: { database: "pass" },
  });

  const json = await post(`${url}/mcp`, bearer, toolCall("json"));
  expect(json.headers.get("content-type")).toContain("application/json");
  expect(await json.json()).toMatchObject({ result: { content: [{ text: "as json" }] } });

  const events = await post(`${url}/mcp`, bearer, toolCall("events"));
  expect(events.headers.get("content-type")).toContain("text/event-stream");
  const text = await events.text();
  expect(text).toContain("notifications/progress");
  expect(text).toContain("as events");

  expect(upstream.seen.map(({ headers }) => headers.get("authorization"))).toEqual([
    `Bearer ${accessToken}`,
    `Bearer ${accessToken}`,
  ]);
  const { exit, stderr } = await program.end("SIGTERM");
  expect({ exit, isQuiet: !stderr.includes('"level"') }).toEqual({ exit: 0, isQuiet: true });
  expect(await fetch(`${url}/livez`).catch(() => "refused")).toBe("refused");
});

async function answerByTool(request: Request): Promise<Response> {
  const asked = await request.text();
  const result = (text: string) => ({
    jsonrpc: "2.0",
    id: 1,
    result: { content: [{ type: "text", text }] },
  });
  if (!asked.includes('"events"')) return Response.json(result("as json"));
  const progress = {
    jsonrpc: "2.0",
    method: "notifications/progress",
    params: { progressToken: 1, progress: 1 },
  };
  const body = [progress, result("as events")]
    .map((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`)
    .join("");
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
