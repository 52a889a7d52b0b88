import { randomBytes } from "node:crypto";
import { isObject, objectIn } from "#src/json.ts";
import { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { Pin } from "#src/http/exchange.ts";
import { readCapabilities } from "../capabilities.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Self } from "../self.ts";
import type { Address } from "./address.ts";
import { type DialAnswer, type Line, dial } from "./dial.ts";
import { type Place, type Transcript, fleetOf, isProven, prove } from "./transcript.ts";

export const challengePath = "/discovery/challenge";
export const responsePath = "/discovery/response";

/** A node that has proven who it is, at an address that is its own. */
export type Met = {
  readonly identity: NodeIdentity;
  readonly document: Readonly<Record<string, unknown>>;
  readonly address: Address;
  /** What every further connection to it has to show. */
  readonly pin: Pin;
  /** Names our fleet key where it has it too. */
  readonly fleetTag: string | undefined;
  /** Says to it who we are; what we may do there. Once, and within ten seconds. */
  prove(): Promise<HandshakeResult>;
};

/** What the other node says to our proof. */
export type HandshakeResult = {
  readonly isTrusted: boolean;
  readonly token: PeerToken | undefined;
};

export type PeerToken = {
  readonly value: Secret;
  /** Its MCP address there. */
  readonly url: string;
  readonly endsInS: number;
};

/** Whom we look for, and where. */
export type Sought = {
  readonly peerId: string;
  readonly address: Address;
  /** The operator has named the address: it may lead anywhere. */
  readonly isTyped: boolean;
  /** The certificate that is pinned, in hex. */
  readonly certificate: string | undefined;
};

/**
 * Asks a node to prove who it is, and that the connection ends at it: its signature is over both names, both
 * nonces, and the certificate that we see, or the name that we asked for.
 * Failures: `peer_unreachable`, `peer_insecure`, `peer_not_proven`.
 */
export async function shakeHands(self: Self, sought: Sought): Promise<Met> {
  const fromNonce = randomBytes(32).toString("base64url");
  const body = { document: self.document(), nonce: fromNonce };
  const answer = await dial(sought.address, { ...sought, path: challengePath, body });
  const said = readChallenge(self, sought, answer);
  const { identity, document, id, signature, fleet } = said;
  const { toNonce, origin, certificate } = said;
  const names = { from: self.node.peerId, to: sought.peerId };
  const transcript: Transcript = { ...names, fromNonce, toNonce, origin, certificate };
  if (!isProven(identity, "challenge", { transcript, signature })) {
    throw notProven("its signature is wrong");
  }
  const pin = pinOf(sought, answer, transcript);
  return {
    identity,
    document,
    address: sought.address,
    pin,
    fleetTag: fleetOf(self.fleetKey, "challenge", { transcript, fleet }),
    prove: () => proveTo(self, sought, { id, transcript, pin }),
  };
}

/** Failures: `peer_unreachable` when nothing like a node answers, `peer_not_proven` when another one does. */
function readChallenge(self: Self, sought: Sought, answer: DialAnswer) {
  const said = answer.status === 200 ? objectIn(answer.text) : undefined;
  if (said === undefined) throw new Failure("peer_unreachable", `It answers ${answer.status}`);
  const { document: claimed, nonce: toNonce, origin, signature, fleet, id } = said;
  const text = isObject(claimed) ? JSON.stringify(claimed) : "";
  const read = readCapabilities(text, self.now());
  if (read?.identity.peerId !== sought.peerId) throw notProven("its names are another node's");
  if (typeof toNonce !== "string" || typeof origin !== "string" || typeof id !== "string") {
    throw notProven("its answer lacks something");
  }
  const certificate = typeof said["certificate"] === "string" ? said["certificate"] : null;
  return { ...read, id, toNonce, origin, certificate, signature, fleet };
}

function notProven(why: string): Failure {
  return new Failure("peer_not_proven", `What answers is not that node: ${why}`);
}

/** What binds the proof to this very connection. Failures: `peer_not_proven`. */
function pinOf({ address, certificate: wanted }: Sought, { line }: DialAnswer, said: Place): Pin {
  const { certificate: seen, ip } = line;
  if (wanted !== undefined && wanted !== seen) {
    throw notProven("its certificate is not the pinned one");
  }
  // Its own certificate: whoever stands between us shows another one.
  if (seen !== undefined && seen === said.certificate) return { address: ip, certificate: seen };
  // Somebody else's in front of it, or none on this machine: then the name is what the proof is for.
  const isItsName = said.certificate === null && said.origin === address.origin;
  if (isItsName && isKnownPlace(line, wanted)) {
    return { address: ip, ...(wanted === undefined ? {} : { certificate: wanted }) };
  }
  throw notProven("the connection ends at another place than it says");
}

/** Without TLS (on this machine alone), by authorities, or by its pinned certificate. */
function isKnownPlace({ certificate, isVouchedFor }: Line, pinned?: string): boolean {
  return certificate === undefined || isVouchedFor || certificate === pinned;
}

/** Nothing is sent before this connection, too, has led to where the proof was given. */
async function proveTo(
  self: Self,
  sought: Sought,
  begun: { readonly id: string; readonly transcript: Transcript; readonly pin: Pin },
): Promise<HandshakeResult> {
  const { certificate: pinned, address: ip } = begun.pin;
  const check = (line: Line) => {
    const isSame = pinned === undefined ? isKnownPlace(line) : pinned === line.certificate;
    if (!isSame) throw notProven("its certificate has changed");
  };
  const body = { id: begun.id, ...prove(self, "response", begun.transcript) };
  const address = { origin: sought.address.origin, ip };
  const answer = await dial(address, { ...sought, path: responsePath, body, check });
  const said = objectIn(answer.text) ?? {};
  if (answer.status !== 200) throw new Failure("peer_not_proven", "It does not take our answer");
  return { isTrusted: said["trusted"] === true, token: tokenIn(said["token"], address.origin) };
}

function tokenIn(said: unknown, origin: string): PeerToken | undefined {
  if (!isObject(said)) return undefined;
  const { access_token: value, resource, expires_in: endsInS } = said;
  if (typeof value !== "string" || typeof resource !== "string" || typeof endsInS !== "number") {
    return undefined;
  }
  if (!URL.canParse(resource) || !/^https?:/.test(new URL(resource).protocol)) return undefined;
  // Only the path of it: the call goes where the proof was given.
  const url = new URL(new URL(resource).pathname, origin);
  return url.origin === origin ? { value: new Secret(value), url: url.href, endsInS } : undefined;
}
