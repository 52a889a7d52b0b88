import { agentForPeer } from "#src/oauth-server/clients/operator.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { type NodeIdentity, identityOfPeer } from "../identity.ts";
import { addressText, readAddress } from "./address.ts";
import type { Proven } from "./challenges.ts";
import { type Peer, forgetTrust, noteChallenge, peersNamed, peerOf, saveTrust } from "./store.ts";
import { discoveredOf } from "../discovery/store.ts";

type Deps = Pick<App, "db" | "now" | "catalog">;

/** What the operator says about a node. */
type WantedTrust = {
  /** The whole peer id: it is the key that is pinned. */
  readonly peerId: string;
  /** Where it is; undefined: wherever it is found. */
  readonly address: string | undefined;
  /** SHA-256 of its certificate, in hex. */
  readonly certificate: string | undefined;
  /** What it may do here. Separated by spaces; empty means all. */
  readonly scope: string;
  readonly upstreams: readonly string[];
  readonly account: string | undefined;
};

/** Pins a node's key. Failures: `usage`. */
export async function trustPeer(app: Deps, of: string, wanted: WantedTrust): Promise<NodeIdentity> {
  const identity = identityOfPeer(wanted.peerId);
  if (identity === undefined) {
    throw new Failure("usage", `${wanted.peerId.slice(0, 80)} is not a peer id`, {
      hint: "Ask for it where the node runs (smartdash node show), not over the network: the whole 12D3KooW…",
    });
  }
  if (identity.peerId === of) throw new Failure("usage", "That is this node itself");
  const address = wanted.address === undefined ? undefined : expectAddress(wanted.address);
  expectUsable(app, wanted);
  const agent = await agentForPeer(app, { ...wanted, name: `Node ${identity.nodeId}` });
  const before = await peerOf(app.db, of, identity.peerId);
  const certificate = wanted.certificate?.replaceAll(":", "").toLowerCase();
  await saveTrust(app.db, {
    of,
    ...namesOf(identity),
    trust: "pinned",
    ...stillPinned(before, { address, certificate }),
    fleetTag: null,
    agent,
  });
  return identity;
}

/** Nobody is served by a trust that leads to no tool. Failures: `usage`. */
function expectUsable(app: Deps, { upstreams, account }: WantedTrust): void {
  const [name = app.catalog.defaultUpstream] = upstreams;
  const credential = app.catalog.upstreams.get(name)?.credential;
  if (credential?.kind !== "account" || account !== undefined) return;
  throw new Failure("usage", `${name} needs an account, and the node would have none here`, {
    hint: "Say --account PROVIDER:SELLER, or another --upstream (node: this node's own status and peers)",
  });
}

/** Where it is and what it shows stays pinned until it is said anew. */
function stillPinned(
  before: Peer | undefined,
  said: { readonly address: string | undefined; readonly certificate: string | undefined },
) {
  return {
    address: said.address ?? before?.address ?? null,
    certificate: said.certificate ?? before?.certificate ?? null,
  };
}

function namesOf({ peerId, nodeId }: NodeIdentity) {
  return { peerId, nodeId };
}

/** As it is stored. Failures: `usage`. */
export function expectAddress(text: string): string {
  const address = readAddress(text);
  if (address !== undefined) return addressText(address);
  throw new Failure("usage", `${text.slice(0, 80)} is not the address of a node`, {
    hint: "An origin such as https://node.example:8443, behind it #192.168.1.100 where the name is not to be looked up",
  });
}

/** The peer id of a name: the id itself, or the node id or own name of exactly one node that is trusted or was met. Failures: `peer_unknown`. */
export async function peerIdOf(
  app: Pick<App, "db" | "now">,
  of: string,
  name: string,
  none = () => new Failure("peer_unknown"),
): Promise<string> {
  if (identityOfPeer(name) !== undefined) return name;
  const decided = await peersNamed(app.db, of, name);
  const sighted = await discoveredOf(app.db, of, app.now());
  const met = sighted.filter(({ nodeId, name: alias }) => nodeId === name || alias === name);
  const trustedOnes = decided.filter(({ trust }) => trust !== "forgotten");
  const meant = trustedOnes.length > 0 ? trustedOnes : [...decided, ...met];
  const [only, other] = new Set(meant.map(({ peerId }) => peerId));
  if (only === undefined) throw none();
  if (other === undefined) return only;
  throw new Failure("peer_unknown", `More than one node is called ${name}`, {
    hint: "Say the whole peer id: smartdash peers list prints it",
  });
}

/** Trusts a node no more, whatever it shows; running gateways let go of it within two seconds. Failures: `peer_unknown`. */
export async function forgetPeer(
  app: Pick<App, "db" | "now">,
  of: string,
  name: string,
): Promise<string> {
  const hint = "smartdash peers list has those that are";
  const none = () =>
    new Failure("peer_unknown", `No node called ${name} is trusted here`, { hint });
  const peerId = await peerIdOf(app, of, name, none);
  if (await forgetTrust(app.db, of, peerId)) return peerId;
  throw none();
}

/** What was decided about a node that has proven who it is; undefined when it is not trusted. */
export async function trusted(
  app: Deps,
  of: string,
  {
    identity,
    fleetTag,
    address,
    name,
  }: Proven & { readonly address?: string; readonly name?: string | undefined },
): Promise<Peer | undefined> {
  const { peerId } = identity;
  const known = await timely(peerOf(app.db, of, peerId));
  if (known === undefined && fleetTag !== undefined && (await isFree(app, of, identity))) {
    const agent = await agentForPeer(app, {
      name: `Node ${identity.nodeId}`,
      scope: "mcp:read mcp:call",
      upstreams: [],
      account: undefined,
    });
    const open = { address: null, certificate: null, fleetTag };
    await timely(saveTrust(app.db, { of, ...namesOf(identity), trust: "fleet", ...open, agent }));
  }
  await timely(noteChallenge(app.db, { of, peerId, isProven: true, address, name }));
  const row =
    known ?? (fleetTag !== undefined ? await timely(peerOf(app.db, of, peerId)) : undefined);
  return row !== undefined && isTrusted(row, fleetTag) ? row : undefined;
}

/** A newcomer must not take the name of one who is trusted. */
async function isFree(app: Deps, of: string, { nodeId }: NodeIdentity): Promise<boolean> {
  return (await peersNamed(app.db, of, nodeId)).length === 0;
}

/** Whom the fleet key let in has to have it each time. */
function isTrusted({ trust }: Peer, fleetTag: string | undefined): boolean {
  return trust === "pinned" || (trust === "fleet" && fleetTag !== undefined);
}

/** From 0 to 100, for people: how its challenges went. Lets nobody in. */
export function trustScore({ proofs, failures }: Pick<Peer, "proofs" | "failures">): number {
  return Math.round((100 * (proofs + 1)) / (proofs + failures + 2));
}
