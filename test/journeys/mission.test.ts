import { until } from "#test/support/until.ts";
import { plainName } from "#src/edge/capabilities.ts";
import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { binary, newFolder, start } from "#test/cli/program.ts";
import { runBeside } from "#test/cli/run.ts";
import { callTool, found, openNode } from "#test/edge/nodes.ts";
import { loadConfig } from "#src/config/load.ts";
import { buildCatalog } from "#src/upstreams/catalog.ts";
import { connectSeller, locationOf, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { post } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";

/** What the three documents say, as they say it. */

describe("document 2: the .env as it stands, Airtable alone", () => {
  test("/auth/authorize?platform=chatgpt and /mcp need no other setting", async () => {
    await using world = await openWorld({
      environment: {
        MELI_CLIENT_ID: undefined,
        MELI_CLIENT_SECRET: undefined,
        MERCADOPAGO_CLIENT_ID: undefined,
        MERCADOPAGO_CLIENT_SECRET: undefined,
        SUPABASE_CLIENT_ID: undefined,
        SUPABASE_CLIENT_SECRET: undefined,
        STORAGE_BACKEND: "back4app",
        PARSE_APP_ID: "app",
        PARSE_REST_API_KEY: "rest",
      },
    });
    expect(world.app.catalog.defaultUpstream).toBe("airtable");
    const visitor = newVisitor();
    const begun = await visitor.get(`${world.url}/auth/authorize?platform=chatgpt`);
    expect([begun.status, new URL(locationOf(begun)).searchParams.get("client_id")]).toEqual([
      303,
      world.environment["AIRTABLE_CLIENT_ID"] ?? "",
    ]);
    await connectSeller(visitor, { url: world.url, provider: "airtable" });
    const bearer = await mintBearer(visitor, world.url);
    const list = await post(`${world.url}/mcp`, bearer, {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/list",
    });
    expect([list.status, await list.text()]).toEqual([200, expect.stringContaining("tools")]);
  });

  const defaultOf = (environment: Readonly<Record<string, string>>) =>
    buildCatalog(loadConfig(environment).config).catalog.defaultUpstream;
  const own = {
    SMARTDASH_UPSTREAMS: JSON.stringify({
      shop: { url: "http://127.0.0.1:1/mcp", credential: "none" },
    }),
  };
  const client = (name: string) => ({ [`${name}_CLIENT_ID`]: "1", [`${name}_CLIENT_SECRET`]: "2" });
  test.each([
    [{}, "mercadolibre"],
    [client("AIRTABLE"), "airtable"],
    [client("SUPABASE"), "supabase"],
    [own, "shop"],
    [{ ...client("AIRTABLE"), ...client("MELI") }, "mercadolibre"],
    [{ ...client("AIRTABLE"), ...own }, "mercadolibre"],
    [{ ...client("AIRTABLE"), SMARTDASH_DEFAULT_UPSTREAM: "supabase" }, "supabase"],
    [{ ...client("AIRTABLE"), SMARTDASH_EDGE: "on" }, "airtable"],
  ])("%j: the default is %s", (environment, name) => {
    expect(defaultOf(environment)).toBe(name);
  });

  test("what has no effect here is named at the start, with what takes its place", async () => {
    await using home = await newFolder();
    await using program = start([binary(), "serve", "--port", "0"], {
      cwd: home.path,
      environment: {
        STORAGE_BACKEND: "back4app",
        PARSE_REST_API_KEY: "hunter2",
        SUPABASE_SERVICE_ROLE_KEY: "hunter2",
        NEXT_PUBLIC_SUPABASE_URL: "https://x.supabase.co",
        RUST_LOG: "info",
      },
    });
    await program.says(/"nobody_signed_up"/);
    const named = program
      .stdout()
      .split("\n")
      .filter((line) => line.includes('"setting_unknown"'))
      .map((line) => JSON.parse(line) as { name: string; instead: string });
    expect(named.map(({ name }) => name).toSorted()).toEqual([
      "NEXT_PUBLIC_SUPABASE_URL",
      "PARSE_REST_API_KEY",
      "STORAGE_BACKEND",
      "SUPABASE_SERVICE_ROLE_KEY",
    ]);
    for (const { instead } of named) expect(instead).toMatch(/DATABASE_URL|PARSE_MASTER_KEY/);
    expect(program.stdout()).not.toContain("hunter2");
  }, 90_000);
});

describe("document 3", () => {
  test("a node has a name of its operator's beside the one of its key, and gives tokens at its own address", async () => {
    const onLoopback = { SMARTDASH_EDGE_DISCOVERY: "mdns", SMARTDASH_EDGE_INTERFACE: "127.0.0.1" };
    await using first = await openNode("first", { ...onLoopback, EDGE_NODE_NAME: "node-1" });
    await using second = await openNode("second", { ...onLoopback, EDGE_NODE_NAME: "node-2" });
    const info = await fetch(`${first.url}/mcp/node/node-1/info`);
    expect([info.status, await info.json()]).toMatchObject([
      200,
      { node_id: first.nodeId, metadata: { name: "node-1" } },
    ]);
    expect((await fetch(`${first.url}/mcp/node/node-3/info`)).status).toBe(404);
    // An agent with the id and secret of the document.
    await using folder = await newFolder();
    const file = join(folder.path, "secret");
    await writeFile(file, "test-secret-0123456789\n");
    const added = await first.run(
      "agents",
      "add",
      "--name",
      "Test",
      "--id",
      "test-agent",
      "--secret-file",
      file,
      "--json",
    );
    expect([added.exit, added.json]).toEqual([0, { client_id: "test-agent" }]);
    const again = await first.run("agents", "add", "--name", "Test", "--id", "test-agent");
    expect([again.exit, again.stderr]).toEqual([
      2,
      expect.stringContaining("There is a client test-agent already"),
    ]);
    const tokenAt = async (path: string) => {
      const answer = await fetch(`${first.url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          grant_type: "client_credentials",
          client_id: "test-agent",
          client_secret: "test-secret-0123456789",
          scope: "mcp:read mcp:call",
        }),
      });
      return (await answer.json()) as { access_token: string };
    };
    for (const name of ["node-1", first.nodeId]) {
      const { access_token: bearer } = await tokenAt(`/mcp/node/${name}/auth/token`);
      const status = await callTool(first, bearer, { name: "get_status" });
      expect([status.status, await status.text()]).toEqual([
        200,
        expect.stringContaining(first.nodeId),
      ]);
    }
    // Trusted, it is called by its own name.
    await found(first, second);
    await first.run("peers", "trust", second.peerId);
    await second.run("peers", "trust", first.peerId);
    const connected = await first.run("peers", "connect", "node-2", "--json");
    expect(connected.json).toMatchObject({ node_id: second.nodeId, proven: true });
    const peers = (await first.run("peers", "list", "--json")).json["peers"];
    expect(peers).toContainEqual(
      expect.objectContaining({ peer_id: second.peerId, name: "node-2" }),
    );
    const bearer = await first.bearer();
    const answer = await callTool(first, bearer, { node: "node-2", name: "x" });
    expect([answer.status, await answer.text()]).toEqual([
      200,
      expect.stringContaining("second x"),
    ]);
    // Whatever it is called, the audit trail and guards know it by one name.
    await until(async () => {
      const { json } = await first.run("calls", "list", "--json");
      const calls = json["calls"] as { upstream: string }[];
      const names = new Set(calls.map(({ upstream }) => upstream));
      if (names.has("node-2")) throw new Error("its alias is in the audit trail");
      return names.has(second.nodeId);
    });
  }, 60_000);

  test("a name that another node could have, or that is no name, is refused", () => {
    for (const name of ["swift-fox-0dd9b9", "-x", "a.b", "ñ", "x".repeat(64)]) {
      const { problems } = loadConfig({ EDGE_NODE_NAME: name });
      expect([name, problems.map(({ setting }) => setting)]).toEqual([name, ["EDGE_NODE_NAME"]]);
    }
    expect(loadConfig({ EDGE_NODE_NAME: "Node-1" }).config.edge.name).toBe("node-1");
    // Nor is it believed of others.
    expect(["node-1", "swift-fox-0dd9b9", "-x", 7].map(plainName)).toEqual([
      "node-1",
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("status --json is health, and serve takes --port and --discovery", async () => {
    await using world = await openWorld({ environment: { SMARTDASH_EDGE: "on" } });
    const address = ["--url", world.url];
    const status = await runBeside(world, ["status", "--json", ...address]);
    const health = await runBeside(world, ["health", "--json", ...address]);
    expect([status.exit, status.json["status"]]).toEqual([health.exit, health.json["status"]]);
    const refused = await runBeside(world, ["serve", "--port", "none"]);
    expect([refused.exit, refused.stderr]).toEqual([
      2,
      expect.stringContaining("PORT must be a whole number"),
    ]);
    await using home = await newFolder();
    await using program = start([binary(), "serve", "--port", "0", "--discovery"], {
      cwd: home.path,
      environment: { SMARTDASH_EDGE_DISCOVERY: "none" },
    });
    await program.says(/"edge_node"/);
  }, 90_000);
});
