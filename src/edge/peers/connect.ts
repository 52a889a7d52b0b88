import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { timely, within } from "#src/clock.ts";
import { nameIn, versionIn } from "../capabilities.ts";
import { addressText, readAddress } from "./address.ts";
import type { Self } from "../self.ts";
import { type HandshakeResult, type Met, shakeHands } from "./handshake.ts";
import { type Peer, noteChallenge, peerOf } from "./store.ts";
import { saveDiscovered, discoveredMs, discoveredOf } from "../discovery/store.ts";
import { trusted } from "./trust.ts";

/** How a node was reached, and what both sides think of each other. */
export type Connected = Pick<Met, "identity" | "address" | "pin"> & {
  /** We trust it, and it has proven itself. */
  readonly isTrusted: boolean;
  /** What it says to our proof. */
  readonly result: HandshakeResult;
};

const wholeMs = 10_000;
const mostAddresses = 4;

type Deps = Pick<App, "db" | "now" | "catalog">;

/**
 * Challenges a node and answers its challenge, at the address that was typed, else at the pinned one, else
 * wherever it was met. Makes nobody trusted who has not the fleet key.
 * Failures: `peer_unknown`, `peer_unreachable`, `peer_insecure`, `peer_not_proven`.
 */
export async function connectPeer(app: Deps, self: Self, wanted: Wanted): Promise<Connected> {
  const late = () => new Failure("peer_unreachable");
  const ended = new AbortController();
  try {
    return await within(wholeMs, connect(app, self, { ...wanted, ended: ended.signal }), late);
  } finally {
    // Whatever still runs does nothing more.
    ended.abort();
  }
}

type Wanted = { readonly peerId: string; readonly typed?: string | undefined };
type Limited = Wanted & { readonly ended: AbortSignal };

async function connect(app: Deps, self: Self, wanted: Limited): Promise<Connected> {
  const { peerId, ended } = wanted;
  const of = self.node.peerId;
  const known = await timely(peerOf(app.db, of, peerId));
  const named = wanted.typed ?? known?.address ?? undefined;
  const texts = named === undefined ? await foundAt(app, of, { peerId, known }) : [named];
  const about = {
    peerId,
    isTyped: named !== undefined,
    certificate: known?.certificate ?? undefined,
  };
  const addresses = texts.flatMap((text) => readAddress(text) ?? []);
  let failure = await unknownOf(app, of, peerId);
  for (const address of addresses.slice(0, mostAddresses)) {
    if (ended.aborted) throw failure;
    const tried = await attempt(() => shakeHands(self, { ...about, address }));
    if (!(tried instanceof Failure)) return await admitted(app, self, { met: tried, ended });
    failure = tried;
  }
  await timely(noteChallenge(app.db, { of, peerId, isProven: false }));
  throw failure;
}

/** Somebody may have told of it, and of no address that can be used. */
async function unknownOf(app: Deps, of: string, peerId: string): Promise<Failure> {
  const met = await timely(discoveredOf(app.db, of, app.now()));
  if (!met.some((each) => each.peerId === peerId)) return new Failure("peer_unknown");
  const message = "This node was found, and announces no address at which it can be reached.";
  const hint = "Say where it is: smartdash peers connect NODE --address https://…";
  return new Failure("peer_unknown", message, { hint });
}

async function attempt<T>(work: () => Promise<T>): Promise<T | Failure> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** Where it has proven itself comes before what is announced. */
async function foundAt(
  app: Deps,
  of: string,
  { peerId, known }: { readonly peerId: string; readonly known: Peer | undefined },
): Promise<readonly string[]> {
  const proven = known?.provenAddress ?? undefined;
  const met = await timely(discoveredOf(app.db, of, app.now()));
  const announced = met.find((each) => each.peerId === peerId)?.addresses ?? [];
  return [...new Set([...(proven === undefined ? [] : [proven]), ...announced])];
}

async function admitted(
  app: Deps,
  self: Self,
  { met, ended }: { readonly met: Met; readonly ended: AbortSignal },
): Promise<Connected> {
  const of = self.node.peerId;
  const late = () => {
    if (ended.aborted) throw new Failure("peer_unreachable");
  };
  late();
  const result = await met.prove();
  late();
  const { identity, document, address, pin } = met;
  const at = addressText({ origin: address.origin, ip: pin.address });
  const peer = await trusted(app, of, { ...met, address: at, name: nameIn(document) });
  const now = app.now();
  const discovered = {
    of,
    peerId: identity.peerId,
    nodeId: identity.nodeId,
    name: nameIn(document) ?? null,
    addresses: [at],
    via: "challenge" as const,
    version: versionIn(document) ?? null,
    seenAt: now,
    expiresAt: new Date(now.getTime() + discoveredMs),
  };
  await timely(saveDiscovered(app.db, [discovered]));
  return { identity, address, pin, isTrusted: peer !== undefined, result };
}
