import { expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { multiaddr } from "@multiformats/multiaddr";
import { Key } from "interface-datastore/key";
import { asFailure } from "#src/failure.ts";
import { BoundedDatastore, createGater } from "#src/edge/discovery/libp2p.ts";
import { capabilitiesOf } from "#src/edge/capabilities.ts";
import { type Announced, createDirectory } from "#src/edge/discovery/directory.ts";
import { identityOf } from "#src/edge/identity.ts";
import { announcedAddress, readAddress, reachable } from "#src/edge/peers/address.ts";
import { createChallenges } from "#src/edge/peers/challenges.ts";
import { shakeHands } from "#src/edge/peers/handshake.ts";
import { type Self, selfOf } from "#src/edge/self.ts";
import { type TestNode, anyCertificate, befriend, callTool, openNode } from "#test/edge/nodes.ts";

const certificates = join(import.meta.dir, "../http/certificates");

function newSelf(): Self {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const signed = (text: string) => sign(null, Buffer.from(text), privateKey).toString("base64url");
  const node = { ...identityOf(x), sign: signed };
  const now = () => new Date();
  const facts = { startedAt: 0, listenAddresses: [], tools: [], resources: [] };
  const document = () => capabilitiesOf({ now, publicUrl: "http://localhost:1" }, node, facts);
  return { node, fleetKey: undefined, now, document };
}

test("EH-11: somebody in between who lets the challenge through and takes the response gets nothing", async () => {
  await using asking = await openNode("asking");
  let [count, behind] = [0, 0];
  const stolen: string[] = [];
  const thief = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: {
      cert: Bun.file(join(certificates, "localhost.pem")),
      key: Bun.file(join(certificates, "localhost.key")),
    },
    fetch: async (request) => {
      stolen.push(await request.text());
      return Response.json({ trusted: true });
    },
  });
  const between = createServer((socket) => {
    count += 1;
    const onward = connect(count === 1 ? behind : (thief.port ?? 0), "127.0.0.1");
    socket.pipe(onward).pipe(socket);
    for (const each of [socket, onward]) each.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on TCP
  const { port } = between.address() as AddressInfo;
  await using real = await openNode("real", {
    TLS_SELF_SIGNED: "on",
    PUBLIC_URL: `https://b.example:${port}`,
  });
  behind = real.world.gateway.port;
  const address = { origin: `https://b.example:${port}`, ip: "127.0.0.1" };
  const sought = { peerId: real.peerId, address, isTyped: true, certificate: undefined };
  const met = await shakeHands(selfOf(asking.world.app), sought);
  const refused = await met.prove().then(
    () => "nothing failed",
    (error: unknown) => asFailure(error).code,
  );
  expect([refused, count, stolen]).toEqual(["peer_not_proven", 2, []]);
  between.close();
  await thief.stop(true);
});

/** A node that says what it likes in its last message. */
function liar(token: object) {
  const self = newSelf();
  const challenges = createChallenges(self, {
    bindingKey: new Uint8Array(32),
    useOnce: () => Promise.resolve(true),
  });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const body: unknown = await request.json();
      const { pathname, origin } = new URL(request.url);
      if (pathname !== "/discovery/challenge") return Response.json({ trusted: true, token });
      return Response.json(challenges.begin(body, { origin, certificate: null }));
    },
  });
  return {
    ...self.node,
    url: `http://localhost:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

test("EH-12: a trusted node cannot send our calls to anybody but itself", async () => {
  await using node = await openNode("first");
  const bearer = await node.bearer();
  let hits = 0;
  const inner = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      hits += 1;
      return Response.json({ jsonrpc: "2.0", id: 1, result: { content: [] } });
    },
  });
  for (const resource of [
    `x:@127.0.0.1:${inner.port}/latest/meta-data`,
    "data:\\\\foo",
    `http://localhost//127.0.0.1:${inner.port}/`,
    `http://127.0.0.1:${inner.port}/`,
  ]) {
    using peer = liar({ access_token: "t", resource, expires_in: 3600 });
    await node.run("peers", "trust", peer.peerId, "--address", peer.url);
    await callTool(node, bearer, { node: peer.nodeId, name: "x" });
    expect([resource, hits]).toEqual([resource, 0]);
  }
  await inner.stop(true);
});

test("EH-9: this machine's names mean this machine, and some addresses are nobody's", async () => {
  for (const [said, from] of [
    ["http://localhost:8000", "127.0.0.2"],
    ["http://localhost:8000", "192.168.1.5"],
    ["https://[::ffff:169.254.169.254]", "::ffff:169.254.169.254"],
    ["https://169.254.169.254", "169.254.169.254"],
    ["https://node.example", "169.254.1.1"],
    ["https://:pw@192.168.1.5", "192.168.1.5"],
    ["https://100.100.100.200", "100.100.100.200"],
  ] as const) {
    expect([said, announcedAddress(said, from)]).toEqual([said, undefined]);
  }
  for (const text of ["http://localhost:1#192.0.2.1", "https://localhost:1#192.0.2.1"]) {
    const address = readAddress(text);
    const refused = await reachable(address ?? { origin: "", ip: "" }, true).catch(asFailure);
    expect([text, refused]).toEqual([text, expect.objectContaining({ code: "peer_insecure" })]);
  }
  expect(readAddress("https://node.example#0.0.0.0")).toBeUndefined();
  expect(readAddress("https://node.example#224.0.0.1")).toBeUndefined();
  expect(await reachable({ origin: "http://localhost:1", ip: undefined }, true)).toBe("127.0.0.1");
});

const said = (self: Self, more: Partial<Announced> = {}): Announced => ({
  peerId: self.node.peerId,
  nodeId: self.node.nodeId,
  origins: ["http://localhost:9"],
  from: "127.0.0.1",
  via: "mdns",
  version: "1.0",
  ...more,
});

test("EH-6: strangers do not push out, replace or say goodbye for a node that has proven itself", async () => {
  await using first = await openNode("first");
  await using second = await openNode("second");
  // Met once where the operator said it is, then trusted without an address.
  await first.run("peers", "trust", second.peerId);
  await second.run("peers", "trust", first.peerId);
  await first.run("peers", "connect", second.peerId, "--address", second.url);
  const directory = createDirectory(first.world.app, first);
  directory.met(said({ ...newSelf(), node: { ...newSelf().node, ...second } }));
  directory.left(second.peerId);
  for (let round = 0; round < 3; round += 1) {
    for (let count = 0; count < 256; count += 1) directory.met(said(newSelf()));
    await directory.flush();
  }
  const bearer = await first.bearer();
  const answer = await callTool(first, bearer, { node: second.nodeId, name: "x" });
  expect(answer.status).toBe(200);
});

test("EH-6: one announcement that PostgreSQL would not keep does not take the others with it", async () => {
  await using node = await openNode("first");
  const directory = createDirectory(node.world.app, node);
  const [good, bad] = [newSelf(), newSelf()];
  directory.met(said(good));
  directory.met(said(bad, { version: "1\0\uD800" }));
  await directory.flush();
  const listed = await node.run("peers", "list", "--json");
  const peers = listed.json["peers"] as readonly { peer_id: string; version: string | null }[];
  expect(new Map(peers.map((each) => [each.peer_id, each.version]))).toEqual(
    new Map([
      [good.node.peerId, "1.0"],
      [bad.node.peerId, null],
    ]),
  );
  // And a name that nobody has is no question for the database.
  const bearer = await node.bearer();
  const headers = { authorization: `Bearer ${bearer}` };
  const odd = await fetch(`${node.url}/mcp/node/%00/resources/x`, { headers });
  expect(odd.status).toBe(404);
});

test("EH-8: what strangers put into the DHT is bounded in number and size", async () => {
  const store = new BoundedDatastore();
  for (let count = 0; count < 5000; count += 1) {
    await store.put(new Key(`/dht/provider/${count}`), new Uint8Array(8));
  }
  await store.put(new Key(`/dht/provider/${"x".repeat(100_000)}`), new Uint8Array(8));
  await store.put(new Key("/dht/record/big"), new Uint8Array(100_000));
  let kept = 0;
  for await (const _ of store.queryKeys({})) kept += 1;
  expect(kept).toBe(4096);
  expect(store.has(new Key("/dht/provider/0"))).toBe(false);
  expect(store.has(new Key("/dht/provider/4999"))).toBe(true);
});

test("EH-9: libp2p dials the kinds of networks that the operator has named, and names that the operator has given", () => {
  const dials = (own: readonly string[], to: string) =>
    createGater(own).denyDialMultiaddr?.(multiaddr(to)) === false;
  const [here, lan, anywhere] = [
    ["/ip4/127.0.0.1/tcp/4001"],
    ["/ip4/192.168.1.5/tcp/4001"],
    ["/ip4/0.0.0.0/tcp/4001"],
  ];
  for (const [own, to, isDialled] of [
    [here, "/ip4/127.0.0.1/tcp/22", true],
    [here, "/ip4/10.0.0.1/tcp/22", false],
    [lan, "/ip4/10.0.0.1/tcp/22", true],
    [lan, "/ip4/127.0.0.1/tcp/22", false],
    [anywhere, "/ip4/10.0.0.1/tcp/22", false],
    [anywhere, "/ip4/127.0.0.1/tcp/22", false],
    [anywhere, "/ip4/8.8.8.8/tcp/4001", true],
    [lan, "/ip4/169.254.169.254/tcp/80", false],
    [lan, "/ip6/::ffff:a9fe:a9fe/tcp/80", false],
    [anywhere, "/dns4/node.example/tcp/4001", false],
    [["/dns4/node.example/tcp/4001"], "/dns4/node.example/tcp/4001", true],
  ] as const) {
    expect([own, to, dials(own, to)]).toEqual([own, to, isDialled]);
  }
});

async function listens(node: TestNode, bearer: string): Promise<Response> {
  return await fetch(`${node.url}/mcp/node/${node.nodeId}/stream`, {
    headers: { authorization: `Bearer ${bearer}` },
    ...anyCertificate,
  });
}

test("EH-13: what the operator switches off is off at the node's own addresses too", async () => {
  await using first = await openNode("first");
  await using second = await openNode("second");
  await befriend(first, second);
  const bearer = await first.bearer();
  const stream = await listens(first, bearer);
  const text = stream.text();
  await first.run("switch", "off", "all");
  expect(await text).toContain("event: end");
  expect((await listens(first, bearer)).status).toBe(503);
  const headers = { authorization: `Bearer ${bearer}` };
  for (const path of ["peers", "announce"]) {
    const answer = await fetch(`${first.url}/discovery/${path}`, { headers });
    expect([path, answer.status]).toEqual([path, 503]);
  }
  expect((await callTool(first, bearer, { node: second.nodeId, name: "x" })).status).toBe(503);
  await first.run("switch", "on", "all");
  expect((await callTool(first, bearer, { node: second.nodeId, name: "x" })).status).toBe(200);
});
