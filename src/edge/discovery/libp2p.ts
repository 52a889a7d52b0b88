import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { Connection, PeerId, ConnectionGater } from "@libp2p/interface";
import { kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { noise, pureJsCrypto } from "@libp2p/noise";
import { peerIdFromString } from "@libp2p/peer-id";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { CID } from "multiformats/cid";
import { code as rawCodec } from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";
import { provideQuicLibrary } from "#src/runtime/native-quic.ts";
import { version } from "#src/runtime/runtime.ts";
import type { OwnNode } from "../identity.ts";
import { isNeverANode, isLoopbackAddress, isPublicAddress } from "#src/http/address.ts";
import { MemoryDatastore } from "datastore-core/memory";
import { Key } from "interface-datastore/key";

/** Not the DHT of the public network: nodes are found by nodes. */
const dhtProtocol = "/libp2p/kad/1.0.0";

const most = { connections: 64, incomingPending: 16, bucket: 20 };
const dialMs = 5000;

type HostOptions = {
  /** Multiaddrs. */
  readonly listen: readonly string[];
  readonly bootstrap?: readonly string[];
  /** Where the native part of QUIC may be put. */
  readonly home: string;
};

async function quicTransport(home: string) {
  await provideQuicLibrary(home);
  const { quic } = await import("@chainsafe/libp2p-quic");
  return quic();
}

/** A libp2p host with the node's own key: TCP, Noise, Yamux, identify, ping, Kademlia; QUIC where a multiaddr names it. */
export async function startHost(
  node: Pick<OwnNode, "seed">,
  { listen, bootstrap = [], home }: HostOptions,
) {
  // TCP alone where nothing of QUIC is asked for: its native part is loaded into the process.
  const wantsQuic = [...listen, ...bootstrap].some((each) => each.includes("/quic-v1"));
  const quic = wantsQuic ? [await quicTransport(home)] : [];
  const seed = Buffer.from(node.seed().reveal(), "base64url");
  const privateKey = await generateKeyPairFromSeed("Ed25519", seed);
  return await createLibp2p({
    privateKey,
    datastore: new BoundedDatastore(),
    nodeInfo: { userAgent: `smartdash/${version.number}` },
    addresses: { listen: [...listen] },
    transports: [tcp(), ...quic],
    // Bun has no ChaCha20-Poly1305 in node:crypto, which Noise takes for more than 1,200 bytes.
    connectionEncrypters: [noise({ crypto: pureJsCrypto })],
    streamMuxers: [yamux()],
    connectionGater: createGater([...listen, ...bootstrap]),
    connectionManager: {
      maxConnections: most.connections,
      maxIncomingPendingConnections: most.incomingPending,
      dialTimeout: dialMs,
      maxParallelDials: 8,
      maxDialQueueLength: 100,
      maxPeerAddrsToDial: 8,
    },
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        protocol: dhtProtocol,
        clientMode: false,
        kBucketSize: most.bucket,
        // Local networks are what this is for.
        peerInfoMapper: passthroughMapper,
        allowQueryWithZeroPeers: true,
      }),
    },
  });
}

export type Host = Awaited<ReturnType<typeof startHost>>;

/** What every node of ours provides, so that others find it. */
async function meetingPlace(): Promise<CID> {
  return CID.createV1(rawCodec, await sha256.digest(Buffer.from("edge-hive nodes")));
}

/** Who is there, as far as the DHT knows; as many as `most`, within the time of `signal`. */
export async function findNodes(
  host: Host,
  limit: { readonly most: number; readonly signal: AbortSignal },
): Promise<readonly PeerId[]> {
  const found = new Map<string, PeerId>();
  const gather = async () => {
    const place = await meetingPlace();
    for await (const event of host.services.dht.findProviders(place, { signal: limit.signal })) {
      if (event.name !== "PROVIDER") continue;
      for (const { id } of event.providers) found.set(id.toString(), id);
      if (found.size >= limit.most) return;
    }
  };
  // What was found before it took too long counts.
  await gather().catch(() => undefined);
  found.delete(host.peerId.toString());
  return [...found.values()].slice(0, limit.most);
}

/** Lets others find this node. */
export async function provideSelf(host: Host, signal: AbortSignal): Promise<void> {
  for await (const _ of host.services.dht.provide(await meetingPlace(), { signal })) {
    // Every event is one other node that knows now.
  }
}

/** Where a node is, as the DHT knows it; undefined when nobody does. */
export async function findPeer(
  host: Host,
  peerId: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const id = peerIdFromString(peerId);
  for await (const event of host.services.dht.findPeer(id, { signal })) {
    if (event.name === "FINAL_PEER") return event.peer.multiaddrs.map(String);
  }
  return undefined;
}

/** Dials the nodes that are in the DHT already. */
export async function join(host: Host, bootstrap: readonly string[]): Promise<number> {
  const dialled = bootstrap.map((each) =>
    host.dial(multiaddr(each), { signal: AbortSignal.timeout(dialMs) }),
  );
  const settled = await Promise.allSettled(dialled);
  return settled.filter(({ status }) => status === "fulfilled").length;
}

/** The IP address at the other end. */
export function remoteIp(connection: Connection): string {
  return /^\/ip[46]\/([^/]+)/.exec(connection.remoteAddr.toString())?.[1] ?? "";
}

type Kind = "public" | "loopback" | "private" | "never";

/**
 * Whom libp2p may dial: strangers spread addresses, and nobody sends us to a place that the operator's own multiaddrs
 * do not name the like of. Names are looked up for nobody but the operator.
 */
export function createGater(own: readonly string[]): ConnectionGater {
  const kinds = new Set<Kind>(["public", ...own.map(kindOf)]);
  const given = new Set(own);
  return {
    denyDialMultiaddr: (address) => {
      const text = address.toString();
      if (given.has(text)) return false;
      const kind = kindOf(text);
      return kind === "never" || !kinds.has(kind);
    },
  };
}

function kindOf(multiaddr: string): Kind {
  const address = /^\/ip[46]\/([^/]+)\//.exec(multiaddr)?.[1];
  // What listens on every interface says nothing about where it may go.
  if (address === undefined || isNeverANode(address)) return "never";
  if (isPublicAddress(address)) return "public";
  return isLoopbackAddress(address) ? "loopback" : "private";
}

const mostEntries = 4096;
const [longestKey, longestValue] = [256, 16 * 1024];

/** What libp2p remembers of others. Strangers fill it: what is too long is not kept, and the oldest make room. */
export class BoundedDatastore extends MemoryDatastore {
  readonly #order = new Set<string>();

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString();
    if (name.length > longestKey || value.length > longestValue) return key;
    this.#order.delete(name);
    this.#order.add(name);
    const [oldest] = this.#order;
    if (this.#order.size > mostEntries && oldest !== undefined) await this.delete(new Key(oldest));
    return await super.put(key, value);
  }

  override async delete(key: Key): Promise<void> {
    this.#order.delete(key.toString());
    await super.delete(key);
  }
}
