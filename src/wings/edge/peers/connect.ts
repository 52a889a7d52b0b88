import type { App } from "#src/app.ts";
import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";
import { plainVersion } from "../capabilities.ts";
import { addressText, readAddress } from "./address.ts";
import { type Admission, type Met, type Self, meet } from "./meet.ts";
import { type Peer, noteChallenge, peerOf, saveSightings, sightingsOf } from "./store.ts";
import { trusted } from "./trust.ts";

/** How a node was reached, and what both sides think of each other. */
export type Connected = Pick<Met, "identity" | "document" | "address" | "pin"> & {
  /** We trust it, and it has proven itself. */
  readonly isTrusted: boolean;
  /** What it says to our proof. */
  readonly admission: Admission;
};

const wholeMs = 10_000;
const mostAddresses = 4;
/** As long as it takes until it has to be met again. */
const keptMs = 5 * 60_000;

type Connecting = Pick<App, "db" | "now" | "catalog">;

/**
 * Challenges a node and answers its challenge, at the address that was typed, else at the pinned one, else
 * wherever it was met. Makes nobody trusted who has not the fleet key.
 * Failures: `peer_unknown`, `peer_unreachable`, `peer_insecure`, `peer_not_proven`.
 */
export async function connectPeer(
  app: Connecting,
  self: Self,
  wanted: { readonly peerId: string; readonly typed?: string | undefined },
): Promise<Connected> {
  const late = () => new Failure("peer_unreachable");
  return await within(wholeMs, connect(app, self, wanted), late);
}

async function connect(
  app: Connecting,
  self: Self,
  wanted: { readonly peerId: string; readonly typed?: string | undefined },
): Promise<Connected> {
  const { peerId } = wanted;
  const of = self.node.peerId;
  const known = await peerOf(app.db, of, peerId);
  const named = wanted.typed ?? known?.address ?? undefined;
  const texts = named === undefined ? await foundAt(app, of, { peerId, known }) : [named];
  const about = {
    peerId,
    isTyped: named !== undefined,
    certificate: known?.certificate ?? undefined,
  };
  const addresses = texts.flatMap((text) => readAddress(text) ?? []);
  let failure = new Failure("peer_unknown");
  for (const address of addresses.slice(0, mostAddresses)) {
    const tried = await attempt(() => meet(self, { ...about, address }));
    if (!(tried instanceof Failure)) return await admitted(app, self, tried);
    failure = tried;
  }
  await noteChallenge(app.db, { of, peerId, isProven: false });
  throw failure;
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
  app: Connecting,
  of: string,
  { peerId, known }: { readonly peerId: string; readonly known: Peer | undefined },
): Promise<readonly string[]> {
  const proven = known?.provenAddress ?? undefined;
  const met = await sightingsOf(app.db, of, app.now());
  const announced = met.find((each) => each.peerId === peerId)?.addresses ?? [];
  return [...new Set([...(proven === undefined ? [] : [proven]), ...announced])];
}

async function admitted(app: Connecting, self: Self, met: Met): Promise<Connected> {
  const of = self.node.peerId;
  const admission = await met.prove();
  const { identity, document, address, pin } = met;
  const at = addressText({ origin: address.origin, ip: pin.address });
  const peer = await trusted(app, of, { ...met, address: at });
  const now = app.now();
  await saveSightings(app.db, [
    {
      of,
      peerId: identity.peerId,
      nodeId: identity.nodeId,
      addresses: [at],
      via: "challenge",
      version: versionIn(document),
      document,
      seenAt: now,
      expiresAt: new Date(now.getTime() + keptMs),
    },
  ]);
  return { identity, document, address, pin, isTrusted: peer !== undefined, admission };
}

function versionIn({ metadata }: Readonly<Record<string, unknown>>): string | null {
  return plainVersion(isObject(metadata) ? metadata["version"] : undefined) ?? null;
}
