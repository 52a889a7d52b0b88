import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { startBeside } from "#test/attacks/setup.ts";
import { runBeside } from "#test/cli/run.ts";
import type { PeerView } from "#src/edge/discovery/view.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { anyCertificate, befriend, callTool, found, openNode } from "./nodes.ts";
import { identityOf } from "#src/edge/identity.ts";
import { discoveredPeers } from "#db/schema/edge.ts";
import { until } from "#test/support/until.ts";
import { allActed } from "#test/support/acknowledged.ts";

const key = (byte: number) => Buffer.alloc(32, byte).toString("base64");
const onLoopback = { SMARTDASH_EDGE_DISCOVERY: "mdns", SMARTDASH_EDGE_INTERFACE: "127.0.0.1" };

test("a call goes where the proof was given: to that address, and to that certificate alone", async () => {
  await using first = await openNode("first", { TLS_SELF_SIGNED: "on" });
  await using third = await openNode("third", { TLS_SELF_SIGNED: "on" });
  await befriend(first, third);
  const bearer = await first.bearer();
  const call = () => callTool(first, bearer, { node: third.nodeId, name: "x" });
  expect((await call()).status).toBe(200);
  const { port } = new URL(third.url);
  await third.world.gateway.stop();
  // Somebody else is there now, and asks for nothing.
  let seen = 0;
  const other = Bun.serve({
    hostname: "127.0.0.1",
    port: Number(port),
    tls: {
      cert: Bun.file(`${import.meta.dir}/../http/certificates/localhost.pem`),
      key: Bun.file(`${import.meta.dir}/../http/certificates/localhost.key`),
    },
    fetch: () => {
      seen += 1;
      return Response.json({ jsonrpc: "2.0", id: 1, result: { content: [] } });
    },
  });
  expect((await call()).status).toBe(502);
  expect(seen).toBe(0);
  await other.stop(true);
});

test("whom we do not trust gets no call, however much it trusts us", async () => {
  await using first = await openNode("first", { ...onLoopback, SMARTDASH_FLEET_KEY: key(1) });
  await using other = await openNode("other", { ...onLoopback, SMARTDASH_FLEET_KEY: key(2) });
  await other.run("peers", "trust", first.peerId, "--address", first.url);
  await first.run("peers", "connect", other.peerId, "--address", other.url);
  const bearer = await first.bearer();
  const refused = await callTool(first, bearer, { node: other.nodeId, name: "x" });
  expect([refused.status, await refused.text()]).toEqual([
    403,
    expect.stringContaining("is not trusted here"),
  ]);
});

test("the fleet key is asked for each time, and another one ends whom the old one had let in", async () => {
  await using first = await openNode("first", { ...onLoopback, SMARTDASH_FLEET_KEY: key(1) });
  await using second = await openNode("second", { ...onLoopback, SMARTDASH_FLEET_KEY: key(1) });
  await found(first, second);
  const bearer = await first.bearer();
  const call = () => callTool(first, bearer, { node: second.nodeId, name: "x" });
  expect((await call()).status).toBe(200);
  const listed = async () => {
    const { json } = await second.run("peers", "list", "--json");
    const peers = json["peers"] as readonly Pick<PeerView, "peer_id" | "trust" | "scope">[];
    // Whoever else is on this machine may be heard too.
    return peers.flatMap(({ peer_id: id, trust, scope }) =>
      id === first.peerId ? [[trust, scope]] : [],
    );
  };
  expect(await listed()).toEqual([["fleet", "mcp:read mcp:call"]]);
  // The same node, started with another key.
  await using again = await startBeside(second.world, { SMARTDASH_FLEET_KEY: key(3) });
  expect(again.logs()).toContain("fleet_key_changed");
  expect(await listed()).toEqual([[null, null]]);
  await allActed(second.world.app.db);
  const [row] = await second.world.app.db.execute<{ many: number }>(
    sql`select count(*)::int as many from agents where client_id like 'node\\_%'`,
  );
  expect(row?.many).toBe(0);
});

test("one node does not pass on what another one sends it", async () => {
  await using left = await openNode("left");
  await using middle = await openNode("middle");
  await using right = await openNode("right");
  await middle.run("peers", "trust", left.peerId, "--address", left.url, "--upstream", "node");
  await left.run("peers", "trust", middle.peerId, "--address", middle.url);
  await befriend(middle, right);
  const own = await callTool(left, await left.bearer(), {
    node: middle.nodeId,
    name: "get_status",
  });
  expect(own.status).toBe(200);
  // What left was given is a token for the node in the middle; it is no operator's agent there.
  const { shakeHands } = await import("#src/edge/peers/handshake.ts");
  const { selfOf } = await import("#src/edge/self.ts");
  const address = { origin: middle.url, ip: undefined };
  const met = await shakeHands(selfOf(left.world.app), {
    peerId: middle.peerId,
    address,
    isTyped: true,
    certificate: undefined,
  });
  const token = (await met.prove()).token?.value.reveal() ?? "";
  expect((await callTool(middle, token, { name: "get_status" })).status).toBe(200);
  expect((await callTool(middle, token, { node: right.nodeId, name: "x" })).status).toBe(404);
  const headers = { authorization: `Bearer ${token}` };
  expect((await fetch(`${middle.url}/discovery/peers`, { headers })).status).toBe(403);
});

test("a peer that moves is found where it announces itself", async () => {
  await using first = await openNode("first", onLoopback);
  await using second = await openNode("second", onLoopback);
  await first.run("peers", "trust", second.peerId);
  await second.run("peers", "trust", first.peerId);
  await found(first, second);
  const bearer = await first.bearer();
  const call = async () =>
    (await callTool(first, bearer, { node: second.nodeId, name: "x" })).status;
  expect(await call()).toBe(200);
  await second.world.gateway.stop();
  expect(await call()).toBe(502);
  await using moved = await startBeside(second.world, { PORT: "0" });
  expect(moved.url).not.toBe(second.url);
  await until(async () => (await call()) === 200, "the peer is found where it is now");
});

test("a wish that cannot come true is refused with words, and what is not said anew stays pinned", async () => {
  await using node = await openNode("first");
  const peer = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq";
  const refused = await node.run("peers", "trust", peer, "--upstream", "mercadolibre");
  expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining("needs an account")]);
  for (const words of [
    ["trust", "12D3KooWnothing"],
    ["trust", node.peerId],
    ["trust", peer, "--address", "ftp://x"],
    ["trust", peer, "--certificate", "ab"],
    ["trust", peer, "--scope", "mcp:everything"],
    ["trust", peer, "--upstream", "nowhere"],
  ]) {
    expect([words, (await node.run("peers", ...words)).exit]).toEqual([words, 2]);
  }
  const certificate = "ab".repeat(32);
  const pinned = ["--address", "https://node.example", "--certificate", certificate];
  await node.run("peers", "trust", peer, ...pinned);
  await node.run("peers", "trust", peer, "--scope", "mcp:read");
  expect((await node.run("peers", "list", "--json")).json["peers"]).toEqual([
    expect.objectContaining({
      certificate,
      addresses: ["https://node.example"],
      scope: "mcp:read",
    }),
  ]);
  expect((await node.run("peers", "connect", "swift-fox-000000")).exit).toBe(1);
  // One that was met, and says of no address that can be used.
  const met = identityOf(Buffer.alloc(32, 9).toString("base64url"));
  await node.world.app.db.insert(discoveredPeers).values({
    of: node.peerId,
    peerId: met.peerId,
    nodeId: met.nodeId,
    addresses: [],
    via: "mdns",
    seenAt: new Date(),
    expiresAt: new Date(Date.now() + 60_000),
  });
  const told = await node.run("peers", "connect", met.nodeId);
  expect([told.exit, told.stderr]).toEqual([
    1,
    expect.stringContaining("announces no address at which it can be reached"),
  ]);
  expect((await node.run("peers", "forget", "swift-fox-000000")).exit).toBe(1);
});

test("the name of the node's own MCP server is its own, and nobody but the operator can allow it", async () => {
  await using node = await openNode("first");
  const taken = await runBeside(node.world, ["node", "show"], {
    SMARTDASH_UPSTREAMS: JSON.stringify({
      node: { url: "http://127.0.0.1:9/", credential: "none" },
    }),
    SMARTDASH_DEFAULT_UPSTREAM: "node",
  });
  expect([taken.exit, taken.stderr]).toEqual([2, expect.stringContaining("the node's own")]);
  await newBearer({ url: node.url });
  const made = await node.run(
    "agents",
    "add",
    "--name",
    "x",
    "--redirect-uris",
    "http://127.0.0.1/callback",
    "--public",
    "--json",
  );
  const asked = new URL(`${node.url}/authorize`);
  asked.search = new URLSearchParams({
    client_id: String(made.json["client_id"]),
    redirect_uri: "http://127.0.0.1/callback",
    response_type: "code",
    code_challenge: "c".repeat(43),
    code_challenge_method: "S256",
    resource: `${node.url}/mcp/node`,
  }).toString();
  const answer = await fetch(asked, { redirect: "manual", ...anyCertificate });
  expect(answer.headers.get("location")).toContain("error=invalid_target");
});

test("a token that only reads lists nodes and listens, and neither announces nor connects", async () => {
  await using node = await openNode("first");
  const withScope = async (scope: string) => {
    const made = await node.run("agents", "add", "--name", "x", "--scope", scope, "--json");
    const { client_id, client_secret } = made.json as { client_id: string; client_secret: string };
    const answer = await fetch(`${node.url}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id,
        client_secret,
        resource: `${node.url}/mcp/node`,
      }),
    });
    const { access_token: bearer } = (await answer.json()) as { access_token: string };
    return { authorization: `Bearer ${bearer}` };
  };
  const reading = await withScope("mcp:read");
  const status = async (path: string, headers: Record<string, string>, method = "GET") => {
    const answer = await fetch(`${node.url}${path}`, { method, headers });
    await answer.body?.cancel();
    return answer.status;
  };
  expect(await status("/discovery/peers", reading)).toBe(200);
  expect(await status("/discovery/announce", reading)).toBe(403);
  expect(await status(`/discovery/connect/${node.peerId}`, reading, "POST")).toBe(403);
  const stream = `/mcp/node/${node.nodeId}/stream`;
  for (let count = 0; count < 10; count += 1) {
    expect(await status(stream, reading, "HEAD")).toBe(200);
  }
  expect(await status(stream, reading)).toBe(200);
});

test("challenges from one address are counted", async () => {
  await using node = await openNode("first");
  const statuses = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const answer = await fetch(`${node.url}/discovery/challenge`, { method: "POST", body: "{}" });
      return answer.status;
    }),
  );
  expect(statuses.filter((each) => each === 400).length).toBeLessThanOrEqual(31);
  expect(statuses).toContain(429);
});

test("neither the fleet key nor a token, a nonce or the node's seed gets into logs, lists or what is stored", async () => {
  const own = { ...onLoopback, SMARTDASH_FLEET_KEY: key(9) };
  await using first = await openNode("first", own);
  await using second = await openNode("second", own);
  await using asking = await startBeside(first.world, { PORT: "0" });
  await using answering = await startBeside(second.world, { PORT: "0" });
  const bearer = await first.bearer();
  await first.run("peers", "trust", second.peerId, "--address", answering.url);
  await second.run("peers", "trust", first.peerId);
  const beside = { url: asking.url };
  // Its token is for the gateway beside: the same keys, another name.
  await callTool(first, bearer, { node: second.nodeId, name: "x" });
  await callTool(beside, bearer, { node: second.nodeId, name: "x" });
  const { ownNode } = await import("#src/edge/identity.ts");
  const seed = ownNode(first.world.app).seed().reveal();
  const listed = (await first.run("peers", "list", "--json")).stdout;
  const stored = JSON.stringify(
    await first.world.app.db.execute(sql`
      select (select jsonb_agg(to_jsonb(p)) from peers p) as peers,
        (select jsonb_agg(to_jsonb(s)) from sightings s) as sightings,
        (select jsonb_agg(to_jsonb(e)) from events e) as events`),
  );
  const everywhere = [asking.logs(), answering.logs(), listed, stored].join("\n");
  expect(answering.logs()).toContain("peer_proven");
  for (const secret of [key(9), key(9).replace(/=+$/, ""), seed, bearer, "eyJ"]) {
    expect([secret.slice(0, 4), everywhere.includes(secret)]).toEqual([secret.slice(0, 4), false]);
  }
});
