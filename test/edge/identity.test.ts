import { expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson } from "#src/json.ts";
import { capabilitiesOf, readCapabilities } from "#src/edge/capabilities.ts";
import { type Node, identityOf } from "#src/edge/identity.ts";
import { startBeside } from "#test/attacks/setup.ts";
import { runBeside } from "#test/cli/run.ts";
import { openWorld } from "#test/support/world.ts";

type Shown = { nodeId: string; peerId: string; publicKey: string; fingerprint: string };

/** A key of the libp2p peer id specification, with the name that it has there. */
test("a peer id is what libp2p makes of the key", () => {
  const key = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
  const { peerId, nodeId } = identityOf(Buffer.from(key, "hex").toString("base64url"));
  expect(peerId).toBe("12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq");
  expect(nodeId).toMatch(/^[a-z]+-[a-z]+-[0-9a-f]{6}$/);
});

test("a node's names come from a key that is made once, sealed, and rotates on purpose", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_EDGE: "on" } });
  const show = async () => (await runBeside(world, ["node", "show", "--json"])).json as Shown;
  const first = await show();
  expect(await show()).toEqual(first);
  expect(first).toEqual({ ...identityOf(first.publicKey) });
  const stored = readFileSync(join(world.app.config.home, "node.key"), "utf8");
  expect(stored).not.toContain("PRIVATE");
  const unasked = await runBeside(world, ["node", "rotate"]);
  expect([unasked.exit, await show()]).toEqual([2, first]);
  const rotated = await runBeside(world, ["node", "rotate", "--yes", "--json"]);
  const second = await show();
  expect(rotated.json).toEqual(second);
  expect([second.nodeId, second.peerId]).not.toEqual([first.nodeId, first.peerId]);
});

test("a node says what it is and signs it; another name leads nowhere, and without the wing there is none", async () => {
  await using world = await openWorld();
  await using gateway = await startBeside(world, { PORT: "0", SMARTDASH_EDGE: "on" });
  const { nodeId } = (await runBeside(world, ["node", "show", "--json"])).json as Shown;
  const info = await fetch(`${gateway.url}/mcp/node/${nodeId}/info`);
  expect([info.status, info.headers.get("cache-control")]).toEqual([200, "no-store"]);
  const text = await info.text();
  expect(readCapabilities(text, new Date())?.identity.nodeId).toBe(nodeId);
  expect(JSON.parse(text)).toMatchObject({
    node_id: nodeId,
    authentication: { token_endpoint: `/mcp/node/${nodeId}/auth/token` },
    metadata: { platform: `${process.platform}-${process.arch}` },
  });
  const other = await fetch(`${gateway.url}/mcp/node/swift-fox-000000/info`);
  expect([other.status, await other.json()]).toEqual([
    404,
    expect.objectContaining({ error: "node_unknown" }),
  ]);
  expect((await fetch(`${world.url}/mcp/node/${nodeId}/info`)).status).toBe(404);
});

function newNode(): { node: Node; forge: (document: object) => string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const signed = (text: string) => sign(null, Buffer.from(text), privateKey).toString("base64url");
  return {
    node: { ...identityOf(x), sign: signed },
    forge: (document) =>
      JSON.stringify({
        ...document,
        signature: signed(`edge-hive capabilities\n${canonicalJson(document)}`),
      }),
  };
}

test("a document that is altered, of another key, over, too long or malformed is not read", () => {
  const now = new Date("2026-11-26T10:00:00Z");
  const { node, forge } = newNode();
  const app = { now: () => now, publicUrl: "https://node.example" };
  const good = capabilitiesOf(app, node, {
    startedAt: now.getTime() - 5000,
    listenAddresses: [],
    tools: ["get_status"],
    resources: [],
  });
  const { signature: _, ...document } = good;
  const read = (text: string, at = now) => readCapabilities(text, at)?.identity.nodeId;
  expect(read(JSON.stringify(good))).toBe(node.nodeId);
  // In another order it is the same.
  expect(read(JSON.stringify(Object.fromEntries(Object.entries(good).toReversed())))).toBe(
    node.nodeId,
  );
  expect(read(forge(document))).toBe(node.nodeId);
  const stranger = newNode().node;
  const refused: Readonly<Record<string, string>> = {
    altered: JSON.stringify({ ...good, metadata: { ...good.metadata, name: "other" } }),
    "another's names": forge({ ...document, node_id: stranger.nodeId, peer_id: stranger.peerId }),
    "another's key": JSON.stringify({ ...good, public_key: stranger.publicKey }),
    "another's signature": JSON.stringify({ ...good, signature: stranger.sign("x") }),
    "without a signature": JSON.stringify(document),
    "good for ever": forge({ ...document, expires_at: "2099-01-01T00:00:00Z" }),
    "from the future": forge({
      ...document,
      issued_at: "2026-11-26T11:00:00Z",
      expires_at: "2026-11-26T11:05:00Z",
    }),
    "no date": forge({ ...document, expires_at: 7 }),
    "too long": forge({ ...document, filler: "x".repeat(20_000) }),
    "no object": "[]",
    "no JSON": "{",
  };
  for (const [how, text] of Object.entries(refused)) {
    expect([how, read(text)]).toEqual([how, undefined]);
  }
  expect(read(JSON.stringify(good), new Date(now.getTime() + 5 * 60_000))).toBeUndefined();
});
