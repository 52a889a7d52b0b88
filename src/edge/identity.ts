import { hash } from "node:crypto";
import type { App } from "#src/app.ts";
import { type NodeKey, openNodeKey, rotateNodeKey } from "#src/crypto/node-key.ts";
import { adjectives, animals } from "./node-names.ts";

/** What other nodes and people call this node. Both names come from its key: nobody else can have them. */
export type NodeIdentity = {
  /** For people: `swift-fox-0dd9b9`. 36 bits of the key's hash: a name, not a proof. */
  readonly nodeId: string;
  /** For libp2p: the whole key (peer ids specification, Ed25519). */
  readonly peerId: string;
  /** Base64url. */
  readonly publicKey: string;
  /** SHA-256 of the public key, in hex. */
  readonly fingerprint: string;
};

/** The node's names, and the key that proves them. */
export type Node = NodeIdentity & Pick<NodeKey, "sign">;

/** With what libp2p needs to speak for it. */
export type OwnNode = Node & Pick<NodeKey, "seed">;

/** The identity in SMARTDASH_HOME, made on first use. Failures: `home_unusable`. */
export function ownNode({ config, seal }: Pick<App, "config" | "seal">): OwnNode {
  const key = openNodeKey(config.home, seal);
  return { ...identityOf(key.publicKey), sign: (text) => key.sign(text), seed: () => key.seed() };
}

/**
 * A new key, and with it new names: whoever trusted the node before has to trust it again. The old key is gone.
 * Failures: `home_unusable`.
 */
export function rotateNode({ config, seal }: Pick<App, "config" | "seal">): OwnNode {
  rotateNodeKey(config.home, seal);
  return ownNode({ config, seal });
}

/** @param publicKey 32 bytes as base64url. */
export function identityOf(publicKey: string): NodeIdentity {
  const key = Buffer.from(publicKey, "base64url");
  const digest = hash("sha256", key, "buffer");
  return {
    nodeId: nodeIdOf(digest),
    peerId: peerIdOf(key),
    publicKey,
    fingerprint: digest.toString("hex"),
  };
}

function nodeIdOf(digest: Buffer): string {
  const word = (words: readonly string[], at: number) =>
    words[digest.readUInt16BE(at) % words.length];
  return `${word(adjectives, 3)}-${word(animals, 5)}-${digest.toString("hex", 0, 3)}`;
}

/** An identity multihash of the key as libp2p writes it, in base58btc: `12D3KooW…`. */
function peerIdOf(key: Uint8Array): string {
  return base58(Buffer.concat([ed25519Prefix, key]));
}

/** Multihash `identity`, 36 bytes; protobuf field 1 (type): Ed25519, field 2 (data): 32 bytes. */
const ed25519Prefix = Buffer.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** The names behind a peer id; undefined when it is not that of an Ed25519 key. */
export function identityOfPeer(peerId: string): NodeIdentity | undefined {
  const bytes = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(peerId) ? fromBase58(peerId) : undefined;
  if (bytes?.length !== ed25519Prefix.length + 32) return undefined;
  const identity = identityOf(bytes.subarray(ed25519Prefix.length).toString("base64url"));
  return identity.peerId === peerId ? identity : undefined;
}

/** Of a text that begins with no `1`. */
function fromBase58(text: string): Buffer {
  let value = 0n;
  for (const character of text) value = value * 58n + BigInt(alphabet.indexOf(character));
  const hex = value.toString(16);
  // A peer id begins with a zero byte, which a number does not have.
  return Buffer.from(`00${hex.length % 2 === 0 ? hex : `0${hex}`}`, "hex");
}

/** Base58 as Bitcoin has it. */
function base58(bytes: Buffer): string {
  let rest = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (; rest > 0n; rest /= 58n) text = alphabet.charAt(Number(rest % 58n)) + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(Math.max(zeros, 0)) + text;
}
