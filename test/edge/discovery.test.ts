import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { sql } from "drizzle-orm";
import { Secret } from "#src/crypto/secret.ts";
import { type Host, findPeer, startHost } from "#src/edge/discovery/libp2p.ts";
import type { PeerView } from "#src/edge/discovery/view.ts";
import { type TestNode, openNode } from "./nodes.ts";
import { until } from "#test/support/until.ts";

const onLoopback = { SMARTDASH_EDGE_DISCOVERY: "mdns", SMARTDASH_EDGE_INTERFACE: "127.0.0.1" };

async function told(node: TestNode): Promise<readonly PeerView[]> {
  return (await node.run("peers", "list", "--json")).json["peers"] as readonly PeerView[];
}

test("two processes find each other by mDNS, and connect where they were found", async () => {
  await using first = await openNode("first", onLoopback);
  await using second = await openNode("second", onLoopback);
  // The command is a process of its own; it asks, and the first gateway answers.
  const found = await second.run("discovery", "peers", "--json");
  const others = found.json["peers"] as readonly PeerView[];
  // Whoever else is on this machine may be heard too.
  expect(others.filter(({ peer_id }) => peer_id === first.peerId)).toEqual([
    expect.objectContaining({
      node_id: first.nodeId,
      peer_id: first.peerId,
      via: "mdns",
      trust: null,
      addresses: [`${first.url}#127.0.0.1`],
    }),
  ]);
  // The gateways have met each other too.
  const met = await until(
    async () => (await told(first)).find(({ peer_id }) => peer_id === second.peerId),
    "a node is found",
    5000,
  );
  expect([met.node_id, met.via]).toEqual([second.nodeId, "mdns"]);
  const announced = await first.run("discovery", "announce", "--json");
  expect([announced.exit, announced.json["announced"]]).toEqual([0, true]);
  const connected = await second.run("peers", "connect", first.nodeId, "--json");
  expect(connected.json).toMatchObject({
    node_id: first.nodeId,
    proven: true,
    trusted: false,
    trusts_us: false,
  });
  // Over HTTP the same, for agents of the operator.
  const bearer = await second.bearer();
  const headers = { authorization: `Bearer ${bearer}` };
  const url = `${second.url}/discovery`;
  const listed = await fetch(`${url}/peers`, { headers });
  const { peers } = (await listed.json()) as { peers: readonly PeerView[] };
  expect(peers.map(({ peer_id }) => peer_id)).toContain(first.peerId);
  const again = await fetch(`${url}/connect/${first.peerId}`, { method: "POST", headers });
  expect([again.status, await again.json()]).toEqual([
    200,
    expect.objectContaining({ peer_id: first.peerId, proven: true }),
  ]);
  const announce = await fetch(`${url}/announce`, { headers });
  expect(await announce.json()).toEqual({ node_id: second.nodeId, announced_by: ["mdns"] });
  for (const path of ["peers", "announce"]) {
    expect([path, (await fetch(`${url}/${path}`)).status]).toEqual([path, 401]);
  }
});

function newHost(): Promise<Host> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d = "" } = privateKey.export({ format: "jwk" });
  return startHost({ seed: () => new Secret(d) }, { listen: ["/ip4/127.0.0.1/tcp/0"], home: "" });
}

test("of five nodes in a DHT, each knowing one other, the first finds the sixth", async () => {
  const hosts: Host[] = [];
  try {
    for (let count = 0; count < 6; count += 1) {
      const host = await newHost();
      const [before] = hosts.slice(-1);
      if (before !== undefined) await host.dial(before.getMultiaddrs());
      hosts.push(host);
    }
    const [first, last] = [hosts[0], hosts[5]];
    if (first === undefined || last === undefined) throw new Error("no hosts");
    const began = performance.now();
    const found = await until(
      () =>
        findPeer(first, last.peerId.toString(), AbortSignal.timeout(5000)).catch(() => undefined),
      "a node is found",
      20_000,
    );
    console.log(`found in ${(performance.now() - began).toFixed(0)} ms`);
    expect(found.length).toBeGreaterThan(0);
    expect(found.some((each) => each.startsWith("/ip4/127.0.0.1/tcp/"))).toBe(true);
  } finally {
    await Promise.all(hosts.map(async (host) => await host.stop()));
  }
});

const transports = { TCP: "/ip4/127.0.0.1/tcp/0", QUIC: "/ip4/127.0.0.1/udp/0/quic-v1" };

for (const [name, listen] of Object.entries(transports)) {
  test(`gateways find each other through libp2p over ${name}: a signed document over an authenticated connection`, () =>
    meetOver(listen));
}

test("a node that nobody has met here is looked for in the DHT when somebody wants to connect to it", async () => {
  const own = { SMARTDASH_EDGE_DISCOVERY: "libp2p", SMARTDASH_EDGE_LISTEN: transports.TCP };
  await using first = await openNode("first", own);
  const info = await fetch(`${first.url}/mcp/node/${first.nodeId}/info`);
  const { capabilities } = (await info.json()) as {
    capabilities: { p2p: { listen_addrs: readonly string[] } };
  };
  const bootstrap = capabilities.p2p.listen_addrs.join(",");
  await using second = await openNode("second", { ...own, SMARTDASH_EDGE_BOOTSTRAP: bootstrap });
  await using third = await openNode("third", { ...own, SMARTDASH_EDGE_BOOTSTRAP: bootstrap });
  await until(
    async () => (await told(second)).find(({ peer_id }) => peer_id === first.peerId),
    "a node is found",
    10_000,
  );
  await second.world.app.db.execute(sql`delete from sightings`);
  const headers = { authorization: `Bearer ${await second.bearer()}` };
  const connect = async (peerId: string) =>
    await fetch(`${second.url}/discovery/connect/${peerId}`, { method: "POST", headers });
  const found = await connect(third.peerId);
  expect([found.status, await found.json()]).toEqual([
    200,
    expect.objectContaining({ peer_id: third.peerId, proven: true, trusted: false }),
  ]);
  const nobody = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq";
  expect((await connect(nobody)).status).toBe(404);
});

async function meetOver(listen: string): Promise<void> {
  const own = {
    SMARTDASH_EDGE_DISCOVERY: "libp2p",
    SMARTDASH_EDGE_LISTEN: listen,
  };
  await using first = await openNode("first", own);
  const info = await fetch(`${first.url}/mcp/node/${first.nodeId}/info`);
  const { capabilities } = (await info.json()) as {
    capabilities: { p2p: { listen_addrs: readonly string[] } };
  };
  const bootstrap = capabilities.p2p.listen_addrs.join(",");
  expect(bootstrap).toContain(first.peerId);
  await using second = await openNode("second", { ...own, SMARTDASH_EDGE_BOOTSTRAP: bootstrap });
  await using third = await openNode("third", { ...own, SMARTDASH_EDGE_BOOTSTRAP: bootstrap });
  for (const [node, other] of [
    [first, second],
    [second, first],
    [first, third],
  ] as const) {
    const met = await until(
      async () => (await told(node)).find(({ peer_id }) => peer_id === other.peerId),
      "a node is found",
      10_000,
    );
    expect([met.via, met.addresses]).toEqual(["libp2p", [`${other.url}#127.0.0.1`]]);
  }
}
