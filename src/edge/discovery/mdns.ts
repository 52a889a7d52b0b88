import { networkInterfaces } from "node:os";
import type { Answer, Packet, StringAnswer, TxtAnswer } from "dns-packet";
import makeMdns from "multicast-dns";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { isPublicAddress } from "#src/http/address.ts";
import { version } from "#src/runtime/runtime.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Directory } from "./directory.ts";
import type { DiscoveryBackend } from "./backend.ts";
import { atMostEvery, repeat } from "./rate.ts";

const service = "_edge-hive._tcp.local";
const ttlSeconds = 120;
/** Packets get lost: the first announcements follow each other at 1, 2, 4 … seconds (RFC 6762 section 8.3). */
const [firstMs, everyMs] = [1000, 60_000];
const mostPackets = 100;
const windowMs = 1000;
const mostAnswers = 64;

type Mdns = ReturnType<typeof makeMdns>;

type AnnouncedNode = {
  readonly publicUrl: string;
  readonly port: number;
  /** What the operator calls the node. */
  readonly name?: string | undefined;
};

type MdnsOptions = {
  readonly directory: Directory;
  /** Address of the one interface; undefined: as the system chooses. */
  readonly interface: string | undefined;
  /** What is announced; undefined: this process only listens. */
  readonly announced?: AnnouncedNode;
};

/** DNS-SD over multicast DNS (RFC 6762, RFC 6763): announces this node and writes down others. Throws where there are no interfaces. */
export function openMdns(
  app: Pick<App, "log" | "now">,
  node: NodeIdentity,
  { directory, interface: only, announced }: MdnsOptions,
): DiscoveryBackend {
  // Where nobody may ask for the interfaces, this fails now, and not in a timer.
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  if (only !== undefined && !own.some(({ address }) => address === only)) {
    throw new Failure("settings_invalid", `SMARTDASH_EDGE_INTERFACE: no interface has ${only}`);
  }
  const mdns = makeMdns({
    loopback: true,
    reuseAddr: true,
    ...(only === undefined ? {} : { interface: only, bind: "0.0.0.0" }),
  });
  const gate = createPacketGate(app);
  let trouble = "";
  const complain = (error: Error) => {
    // Port 5353 may be taken, or there is no network: everything else goes on.
    const { code = "unknown" } = errorFields(error);
    if (code !== trouble) app.log.warn("mdns_failed", { code });
    trouble = String(code);
  };
  mdns.on("error", complain);
  mdns.on("warning", () => undefined);
  const records = announced && recordsOf(node, { ...announced, interface: only });
  const say = (ttl: number) => {
    if (records !== undefined) mdns.respond({ answers: records(ttl) });
  };
  const answer = atMostEvery(windowMs, () => say(ttlSeconds));
  // Whatever a stranger sends: a packet that cannot be understood is one that was not sent.
  const guarded = (work: () => void) => {
    try {
      work();
    } catch (error) {
      app.log.debug("mdns_packet_unreadable", errorFields(error));
    }
  };
  mdns.on("query", ({ questions = [] }) =>
    guarded(() => {
      if (gate() && questions.slice(0, mostAnswers).some(isAboutUs)) answer.soon();
    }),
  );
  mdns.on("response", (packet, { address }) =>
    guarded(() => {
      // Whoever is far away is not on the local network.
      if (!isPublicAddress(address) && gate()) hear(directory, packet, address);
    }),
  );
  const announce = () => {
    say(ttlSeconds);
    mdns.query({ questions: [{ name: service, type: "PTR" }] });
  };
  const announcing = repeat(firstMs, everyMs, announce);
  return {
    name: "mdns",
    announce,
    stop: () => {
      announcing.stop();
      answer.stop();
      return close(mdns, () => say(0));
    },
  };
}

const goodbyeMs = 200;

async function close(mdns: Mdns, goodbye: () => void): Promise<void> {
  goodbye();
  await new Promise<void>((resolve) => {
    const late = setTimeout(resolve, goodbyeMs);
    mdns.destroy(() => {
      clearTimeout(late);
      resolve();
    });
  });
}

/** However many packets come, so many are looked at in a second. */
function createPacketGate(app: Pick<App, "log" | "now">): () => boolean {
  let [since, count, dropped] = [0, 0, 0];
  return () => {
    const now = performance.now();
    if (now - since >= windowMs) {
      if (dropped > 0) app.log.warn("mdns_flood", { dropped });
      [since, count, dropped] = [now, 0, 0];
    }
    count += 1;
    if (count <= mostPackets) return true;
    dropped += 1;
    return false;
  };
}

function isAboutUs({ name, type }: { readonly name: string; readonly type: string }): boolean {
  return name.toLowerCase() === service && (type === "PTR" || type === "ANY");
}

function recordsOf(
  node: NodeIdentity,
  about: AnnouncedNode & { readonly interface: string | undefined },
) {
  const { publicUrl, port, name, interface: only } = about;
  const instance = `${node.nodeId}.${service}`;
  const target = `${node.nodeId}.local`;
  const facts = {
    node_id: node.nodeId,
    peer_id: node.peerId,
    version: version.number,
    mcp_enabled: "true",
    oauth2_enabled: "true",
    fingerprint: node.fingerprint,
    origin: publicUrl,
    ...(name === undefined ? {} : { name }),
  };
  const data = Object.entries(facts).map(([fact, value]) => `${fact}=${value}`);
  return (ttl: number): Answer[] => [
    { name: service, type: "PTR", ttl, data: instance },
    { name: instance, type: "SRV", ttl, data: { port, target, priority: 0, weight: 0 } },
    { name: instance, type: "TXT", ttl, data },
    ...(only === undefined ? ownAddresses() : [only]).map(
      (address) => ({ name: target, type: "A", ttl, data: address }) as const,
    ),
  ];
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address)
    .slice(0, 4);
}

/** What one packet says of nodes. An address counts only where the packet came from it. */
function hear(directory: Directory, packet: Packet, from: string): void {
  const records = [...(packet.answers ?? []), ...(packet.additionals ?? [])].slice(0, mostAnswers);
  const named = records.filter((each): each is StringAnswer => each.type === "PTR");
  for (const { data: instance } of named.filter(({ name }) => name.toLowerCase() === service)) {
    const text = records.find(
      (each): each is TxtAnswer => each.type === "TXT" && each.name === instance,
    );
    if (text !== undefined) hearOne(directory, text, from);
  }
}

function hearOne(directory: Directory, { data, ttl }: TxtAnswer, from: string): void {
  const facts = factsIn(data);
  const [peerId = "", nodeId = "", origin = ""] = ["peer_id", "node_id", "origin"].map((name) =>
    facts.get(name),
  );
  const isGoodbye = ttl === 0;
  // Anybody can say goodbye for somebody else: they are met again with their next word.
  if (isGoodbye) return directory.left(peerId);
  directory.met({
    peerId,
    nodeId,
    origins: [`${origin}#${from}`],
    from,
    via: "mdns",
    version: facts.get("version"),
    name: facts.get("name"),
  });
}

const mostFacts = 32;

function factsIn(data: TxtAnswer["data"]): ReadonlyMap<string, string> {
  const parts = (Array.isArray(data) ? data : [data]).slice(0, mostFacts);
  return new Map(
    parts.map((part) => {
      const [name = "", value = ""] = part.toString().split(/=(.*)/s);
      return [name, value] as const;
    }),
  );
}
