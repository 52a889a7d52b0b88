import { afterAll, expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { sql } from "drizzle-orm";
import type { PeerId } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import makeMdns from "multicast-dns";
import { canonicalJson } from "#src/json.ts";
import { Secret } from "#src/crypto/secret.ts";
import { asFailure } from "#src/failure.ts";
import { createDirectory } from "#src/edge/discovery/directory.ts";
import { type Host, findNodes, startHost } from "#src/edge/discovery/libp2p.ts";
import { capabilitiesOf } from "#src/edge/capabilities.ts";
import { type NodeIdentity, identityOf } from "#src/edge/identity.ts";
import { announcedAddress, reachable, readAddress } from "#src/edge/peers/address.ts";
import { createChallenges } from "#src/edge/peers/challenges.ts";
import { type Sought, shakeHands } from "#src/edge/peers/handshake.ts";
import { type Self, selfOf } from "#src/edge/self.ts";
import { type TestNode, anyCertificate, befriend, callTool, openNode } from "#test/edge/nodes.ts";
import { until } from "#test/support/until.ts";

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "nothing failed",
    (error: unknown) => asFailure(error).code,
  );

/** What the database does for a gateway. */
function inMemory() {
  const used = new Set<string>();
  return {
    bindingKey: new Uint8Array(32),
    useOnce: (id: string) => Promise.resolve(!used.has(id) && used.add(id).has(id)),
  };
}

const notNeeded = { listenAddresses: [], tools: [], resources: [] };

/** A node that is made up: it has a key and says what it likes. */
function newSelf(publicUrl = "http://localhost:1"): Self {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const signed = (text: string) => sign(null, Buffer.from(text), privateKey).toString("base64url");
  const node = { ...identityOf(x), sign: signed };
  const now = () => new Date();
  const document = () => capabilitiesOf({ now, publicUrl }, node, { startedAt: 0, ...notNeeded });
  return { node, fleetKey: undefined, now, document };
}

function at(node: { readonly url: string; readonly peerId: string }): Sought {
  const address = { origin: node.url, ip: undefined };
  return { peerId: node.peerId, address, isTyped: true, certificate: undefined };
}

const post = (url: string, body: unknown) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...anyCertificate,
  });

/** Somebody in the middle: passes everything on, and notes what it has seen. */
function between(target: string, tls?: { readonly cert: string; readonly key: string }) {
  const seen: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls && { tls }),
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      seen.push(pathname);
      const { host } = new URL(target);
      const headers = { "content-type": "application/json", host };
      const body = await request.text();
      return await fetch(`${target}${pathname}`, {
        method: "POST",
        headers,
        body,
        ...anyCertificate,
      });
    },
  });
  const scheme = tls === undefined ? "http" : "https";
  return {
    url: `${scheme}://localhost:${server.port}`,
    seen,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

const open = new Map<string, TestNode>();
async function shared(name: string): Promise<TestNode> {
  const node = open.get(name) ?? (await openNode(name));
  open.set(name, node);
  return node;
}
afterAll(async () => {
  for (const node of open.values()) await node[Symbol.asyncDispose]();
});

test("EH-1: an announcement that is forged: names that are not of the key are dropped, a stolen name proves nothing", async () => {
  const real = await shared("real");
  const thief = newSelf();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const challenges = createChallenges(thief, inMemory());
      const place = { origin: `http://localhost:${server.port}`, certificate: null };
      const answer = challenges.begin(await request.json(), place);
      // With the real node's own document, which anybody may ask for.
      const info = await fetch(`${real.url}/mcp/node/${real.nodeId}/info`);
      return Response.json({ ...answer, document: await info.json() });
    },
  });
  const self = selfOf((await shared("asking")).world.app);
  const stolen = { url: `http://localhost:${server.port}`, peerId: real.peerId };
  expect(await codeOf(shakeHands(self, at(stolen)))).toBe("peer_not_proven");
  await server.stop(true);
  const directory = createDirectory(real.world.app, { peerId: "of nobody" });
  const said = {
    origins: [],
    from: "127.0.0.1",
    via: "mdns",
    version: "1",
  } as const;
  expect(directory.met({ ...said, peerId: real.peerId, nodeId: "swift-fox-000000" })).toBe(false);
  expect(directory.met({ ...said, peerId: "12D3KooWnobody", nodeId: real.nodeId })).toBe(false);
  expect(directory.met({ ...said, peerId: real.peerId, nodeId: real.nodeId })).toBe(true);
  await directory.flush();
});

test("EH-2: a challenge or a response that is replayed, late, swapped or another's is refused", async () => {
  let offset = 0;
  const now = () => new Date(Date.now() + offset);
  const asked = { ...newSelf(), now };
  const challenges = createChallenges(asked, inMemory());
  const place = { origin: "http://localhost:1", certificate: null };
  const asking = newSelf();
  const nonce = "n".repeat(43);
  const begin = () =>
    challenges.begin({ document: asking.document(), nonce }, place) as Record<string, string>;
  const refused = (body: unknown) => codeOf(challenges.finish(body));
  const answer = (said: Record<string, string>, by: Self = asking) => {
    const transcript = {
      from: by.node.peerId,
      to: asked.node.peerId,
      fromNonce: nonce,
      toNonce: said["nonce"],
      ...place,
    };
    const text = canonicalJson(transcript);
    return {
      id: said["id"],
      signature: by.node.sign(`edge-hive response\n${text}`),
    };
  };
  const first = begin();
  expect((await challenges.finish(answer(first))).identity.peerId).toBe(asking.node.peerId);
  expect(await refused(answer(first))).toBe("challenge_refused");
  // Of another challenge, with another nonce.
  expect(await refused({ ...answer(begin()), id: begin()["id"] })).toBe("challenge_refused");
  // What it was told itself, given back.
  const mirrored = begin();
  expect(await refused({ id: mirrored["id"], signature: mirrored["signature"] })).toBe(
    "challenge_refused",
  );
  expect(await refused(answer(begin(), newSelf()))).toBe("challenge_refused");
  const late = begin();
  offset = 10_001;
  expect(await refused(answer(late))).toBe("challenge_refused");
  offset = 0;
  // An id that we have not made, or that was altered.
  const [encoded = "", tag = ""] = begin()["id"]?.split(".") ?? [];
  const open = JSON.parse(Buffer.from(encoded, "base64url").toString()) as { until: number };
  const longer = Buffer.from(JSON.stringify({ ...open, until: open.until + 60_000 }));
  for (const id of [`${longer.toString("base64url")}.${tag}`, encoded, `${encoded}.`, "x.y"]) {
    expect(await refused({ ...answer(begin()), id })).toBe("challenge_refused");
  }
  // Two at a time: one.
  const raced = answer(begin());
  const outcomes = await Promise.all([refused(raced), refused(raced), refused(raced)]);
  expect(outcomes.toSorted((a, b) => a.localeCompare(b))).toEqual([
    "challenge_refused",
    "challenge_refused",
    "nothing failed",
  ]);
});

test("EH-3: a challenge that somebody in the middle passes on is refused, with and without TLS", async () => {
  const real = await shared("real");
  const self = selfOf((await shared("asking")).world.app);
  using plain = between(real.url);
  expect(await codeOf(shakeHands(self, at({ url: plain.url, peerId: real.peerId })))).toBe(
    "peer_not_proven",
  );
  expect(plain.seen).toEqual(["/discovery/challenge"]);
  await using secure = await openNode("secure", { TLS_SELF_SIGNED: "on" });
  const { ownCertificate } = await import("#src/crypto/self-signed.ts");
  const { openNodeKey } = await import("#src/crypto/node-key.ts");
  const { temporaryFolder } = await import("#test/support/database.ts");
  const home = await temporaryFolder();
  const pair = await ownCertificate(home, openNodeKey(home, secure.world.app.seal), {
    hostname: "localhost",
    now: new Date(),
  });
  using middle = between(secure.url, { cert: pair.certificate, key: pair.key.reveal() });
  expect(await codeOf(shakeHands(self, at({ url: middle.url, peerId: secure.peerId })))).toBe(
    "peer_not_proven",
  );
  expect(middle.seen).toEqual(["/discovery/challenge"]);
  // Without anybody in between it works.
  expect((await shakeHands(self, at(secure))).identity.peerId).toBe(secure.peerId);
});

test("EH-4: a node at another node's address is not that node", async () => {
  const [real, asking] = [await shared("real"), await shared("asking")];
  const self = selfOf(asking.world.app);
  const wrong = at({ url: real.url, peerId: newSelf().node.peerId });
  expect(await codeOf(shakeHands(self, wrong))).toBe("peer_not_proven");
});

test("EH-5: documents and bodies that are too long or malformed are refused with words", async () => {
  const { url } = await shared("real");
  const self = newSelf();
  const good = { document: self.document(), nonce: "n".repeat(43) };
  expect((await post(`${url}/discovery/challenge`, good)).status).toBe(200);
  for (const [body, status] of [
    ["{", 400],
    ["[]", 400],
    ["{}", 400],
    [{ ...good, nonce: "short" }, 400],
    [{ ...good, nonce: 7 }, 400],
    [{ ...good, document: { ...good.document, node_id: "swift-fox-000000" } }, 400],
    [{ ...good, document: [] }, 400],
    [{ ...good, filler: "x".repeat(30_000) }, 413],
    [`{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, 400],
  ] as const) {
    const answer = await post(`${url}/discovery/challenge`, body);
    expect([JSON.stringify(body).slice(0, 60), answer.status]).toEqual([
      JSON.stringify(body).slice(0, 60),
      status,
    ]);
  }
  for (const body of [{}, { id: 7 }, { id: "x", signature: "y" }, { id: "__proto__" }]) {
    expect((await post(`${url}/discovery/response`, body)).status).toBe(403);
  }
});

test("EH-6: a flood of announcements is bounded in packets and in nodes, and the gateway goes on", async () => {
  await using node = await openNode("flooded", {
    SMARTDASH_EDGE_DISCOVERY: "mdns",
    SMARTDASH_EDGE_INTERFACE: "127.0.0.1",
  });
  const mdns = makeMdns({
    interface: "127.0.0.1",
    bind: "0.0.0.0",
    loopback: true,
    reuseAddr: true,
  });
  await new Promise<void>((resolve) => mdns.once("ready", resolve));
  const say = ({ nodeId, peerId }: NodeIdentity) => {
    const name = `${nodeId}._edge-hive._tcp.local`;
    mdns.respond({
      answers: [
        { name: "_edge-hive._tcp.local", type: "PTR", ttl: 120, data: name },
        {
          name,
          type: "TXT",
          ttl: 120,
          data: [`node_id=${nodeId}`, `peer_id=${peerId}`, "origin=http://localhost:9"],
        },
      ],
    });
  };
  for (let count = 0; count < 2000; count += 1) {
    say(newSelf().node);
    if (count % 100 === 0) await Bun.sleep(20);
  }
  expect((await fetch(`${node.url}/livez`)).status).toBe(200);
  const last = newSelf().node;
  const heard = async () => {
    say(last);
    const [row] = await node.world.app.db.execute<{ many: number; last: number }>(
      sql`select count(*)::int as many, (count(*) filter (where peer_id = ${last.peerId}))::int as last from sightings`,
    );
    return row?.last === 1 ? row : undefined;
  };
  const row = await until(heard, "the last node is kept, with all before it");
  console.log(`of 2,000 announced nodes ${row?.many} are kept`);
  expect(row?.many).toBeGreaterThan(0);
  expect(row?.many).toBeLessThanOrEqual(256);
  await new Promise<void>((resolve) => mdns.destroy(() => resolve()));
});

test("EH-7: a node that hangs is let go of, and holds nobody else up", async () => {
  await using first = await openNode("first");
  const hanging = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => undefined, open: () => undefined },
  });
  const peer = newSelf().node;
  const url = `http://localhost:${hanging.port}`;
  await first.run("peers", "trust", peer.peerId, "--address", url);
  const bearer = await first.bearer();
  const began = performance.now();
  const call = callTool(first, bearer, { node: peer.nodeId, name: "x" });
  const own = await callTool(first, bearer, { name: "get_status" });
  expect([own.status, performance.now() - began < 2000]).toEqual([200, true]);
  const refused = await call;
  const took = performance.now() - began;
  expect([refused.status, await refused.text()]).toEqual([
    502,
    expect.stringContaining("peer_unreachable"),
  ]);
  expect(took).toBeLessThan(11_000);
  // Whoever comes next is told at once.
  const again = performance.now();
  expect((await callTool(first, bearer, { node: peer.nodeId, name: "x" })).status).toBe(502);
  expect(performance.now() - again).toBeLessThan(1000);
  hanging.stop(true);
});

/** A node of the DHT that knows a thousand others, none of which there is. */
async function liar(bootstrap: string): Promise<Host> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d = "" } = privateKey.export({ format: "jwk" });
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  const host = await startHost({ seed: () => new Secret(d) }, { listen, home: "" });
  const fakes = new Map(
    Array.from({ length: 1000 }, () => {
      const id = peerIdFromString(newSelf().node.peerId);
      return [id.toString(), id] as const;
    }),
  );
  const dht = host.services.dht as unknown as {
    providers: { getProviders: () => Promise<unknown[]> };
  };
  dht.providers.getProviders = () => Promise.resolve([...fakes.values()]);
  const inner = host as unknown as { components: { peerStore: { get: (id: PeerId) => unknown } } };
  const { peerStore } = inner.components;
  const get = peerStore.get.bind(peerStore);
  const addresses = [{ multiaddr: multiaddr("/ip4/127.0.0.1/tcp/9"), isCertified: false }];
  peerStore.get = (id) => (fakes.has(id.toString()) ? Promise.resolve({ id, addresses }) : get(id));
  await host.dial(multiaddr(bootstrap));
  return host;
}

test("EH-8: a thousand nodes that somebody in the DHT makes up are not taken down, and a real one is found", async () => {
  const own = { SMARTDASH_EDGE_DISCOVERY: "libp2p", SMARTDASH_EDGE_LISTEN: "/ip4/127.0.0.1/tcp/0" };
  await using first = await openNode("first", own);
  const info = await fetch(`${first.url}/mcp/node/${first.nodeId}/info`);
  const { capabilities } = (await info.json()) as {
    capabilities: { p2p: { listen_addrs: readonly string[] } };
  };
  const [bootstrap = ""] = capabilities.p2p.listen_addrs;
  const host = await liar(bootstrap);
  const before = process.memoryUsage().rss;
  await using second = await openNode("second", { ...own, SMARTDASH_EDGE_BOOTSTRAP: bootstrap });
  // They are spread: whoever asks the liar is told of them, of so many as Kademlia takes.
  const signal = AbortSignal.timeout(10_000);
  const found = await findNodes(host, { most: 5000, signal });
  expect(found.length).toBeGreaterThan(10);
  await Bun.sleep(5000);
  const peers = await first.run("peers", "list", "--json");
  const names = (peers.json["peers"] as readonly { peer_id: string }[]).map((each) => each.peer_id);
  expect(names).toEqual([second.peerId]);
  const grown = Math.round((process.memoryUsage().rss - before) / 1e6);
  console.log(
    `${found.length} nodes made up, ${names.length} kept, memory of three hosts +${grown} MB`,
  );
  await host.stop();
});

test("EH-9: an announced address leads nowhere but to whoever announced it, or to the public internet", async () => {
  const from = "192.168.1.5";
  const kept = {
    "https://192.168.1.5:8443": "https://192.168.1.5:8443#192.168.1.5",
    "https://node.example": "https://node.example",
    "https://node.example#192.168.1.5": "https://node.example#192.168.1.5",
    "https://node.example#10.0.0.1": "https://node.example",
  };
  for (const [said, wanted] of Object.entries(kept)) {
    expect([said, announcedAddress(said, from)]).toEqual([said, wanted]);
  }
  for (const said of [
    "http://192.168.1.5:8000",
    "https://192.168.1.6",
    "https://10.0.0.1",
    "https://169.254.169.254",
    "https://localhost",
    "http://localhost:5432",
    "http://127.0.0.1:5432",
    "https://[::1]",
    "https://0x7f000001",
    "https://2130706433",
    "https://[::ffff:127.0.0.1]",
    "https://user@192.168.1.5",
    "https://192.168.1.5/admin",
    "https://192.168.1.5?x",
    "ftp://192.168.1.5",
    "file:///etc/passwd",
    "https://node.example#nonsense",
    "x".repeat(300),
  ]) {
    expect([said, announcedAddress(said, from)]).toEqual([said, undefined]);
  }
  expect(
    announcedAddress("https://169.254.169.254#169.254.169.254", "169.254.169.254"),
  ).toBeUndefined();
  // A name of this machine, without a dot in it.
  for (const name of ["https://ip6-localhost:1", "https://localhost.:1"]) {
    const address = readAddress(name);
    if (address === undefined) throw new Error(name);
    const code = await codeOf(reachable(address, false));
    expect([name, ["peer_insecure", "peer_unreachable"].includes(code)]).toEqual([name, true]);
  }
});

test("EH-10: the token that a node has given a peer is good there alone, for its one MCP server", async () => {
  await using first = await openNode("first");
  await using second = await openNode("second");
  await using third = await openNode("third");
  await befriend(first, third);
  const met = await shakeHands(selfOf(first.world.app), at(third));
  const { isTrusted, token } = await met.prove();
  expect(isTrusted).toBe(true);
  const bearer = token?.value.reveal() ?? "";
  expect((await callTool(third, bearer, { name: "x" })).status).toBe(200);
  for (const node of [first, second]) {
    expect((await callTool(node, bearer, { name: "x" })).status).toBe(401);
  }
  const headers = { authorization: `Bearer ${bearer}` };
  // Not for the node itself: its logs and peers are the operator's.
  const own = await fetch(`${third.url}/mcp/node`, { method: "POST", headers, body: "{}" });
  expect(own.status).toBe(401);
  expect((await fetch(`${third.url}/discovery/peers`, { headers })).status).toBe(401);
  // And it ends with the trust, within two seconds.
  await third.run("peers", "forget", first.peerId);
  expect((await callTool(third, bearer, { name: "x" })).status).toBe(401);
});
