import {
  type KeyObject,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  verify,
} from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ownLike } from "#db/home.ts";
import { Failure, codeOf } from "#src/failure.ts";
import { type Seal, SealBroken } from "./seal.ts";
import { Secret } from "./secret.ts";

/** The Ed25519 identity of a node (RFC 8032): it says which gateway made a statement. */
export type NodeKey = {
  /** 32 bytes as base64url. */
  readonly publicKey: string;
  /** SHA-256 of the public key, in hex, for people to compare. */
  readonly fingerprint: string;
  /** Base64url. */
  sign(text: string): string;
  /** The 32 bytes that the key is made of: for a protocol that signs by itself. */
  seed(): Secret;
};

const place = { table: "node", row: "node.key", column: "private_key" };

/**
 * The key in SMARTDASH_HOME, made on first use: sealed, readable by its user alone.
 * Failures: `home_unusable` when the folder cannot hold it or ENCRYPTION_KEY does not open it.
 */
export function openNodeKey(home: string, seal: Seal): NodeKey {
  const file = join(home, "node.key");
  try {
    if (!existsSync(file)) makeKey(home, file, newKey(seal));
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw unusable(file, codeOf(error) ?? "unknown");
  }
  return fromPrivate(createPrivateKey(opened(file, seal).reveal()));
}

/** Whole or not at all, and never over one that is there. */
function makeKey(home: string, file: string, text: string): void {
  mkdirSync(home, { recursive: true });
  const made = `${file}.${randomUUID()}`;
  writeFileSync(made, text, { mode: 0o600, flag: "wx" });
  try {
    ownLike(home, made);
    linkSync(made, file);
  } finally {
    unlinkSync(made);
  }
}

function newKey(seal: Seal): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  return Buffer.from(seal.close(new Secret(pem), place)).toString("base64");
}

function opened(file: string, seal: Seal): Secret {
  try {
    return seal.open(Buffer.from(readFileSync(file, "utf8").trim(), "base64"), place);
  } catch (error) {
    const reason = error instanceof SealBroken ? error.message : (codeOf(error) ?? "unknown");
    throw unusable(file, reason);
  }
}

function unusable(file: string, reason: string): Failure {
  return new Failure("home_unusable", `${file} does not hold this node's key (${reason})`, {
    hint: "Set SMARTDASH_HOME and ENCRYPTION_KEY as the gateway has them; a key that is lost is made anew once the file is gone, and older reports cannot be verified any more.",
  });
}

/** A new key in place of the one there is, whole or not at all. Failures: `home_unusable`. */
export function rotateNodeKey(home: string, seal: Seal): void {
  const file = join(home, "node.key");
  try {
    mkdirSync(home, { recursive: true });
    replaceKey(home, file, newKey(seal));
  } catch (error) {
    throw unusable(file, codeOf(error) ?? "unknown");
  }
}

function replaceKey(home: string, file: string, text: string): void {
  const made = `${file}.${randomUUID()}`;
  writeFileSync(made, text, { mode: 0o600, flag: "wx" });
  ownLike(home, made);
  renameSync(made, file);
}

/** Seals the key anew with the first ENCRYPTION_KEY; true when it was sealed with another. */
export function resealNodeKey(home: string, seal: Seal): boolean {
  const file = join(home, "node.key");
  const id = nodeKeySealedBy(home);
  if (id === undefined || id === seal.keyIds[0]) return false;
  const text = Buffer.from(seal.close(opened(file, seal), place)).toString("base64");
  replaceKey(home, file, text);
  return true;
}

/** The id of the key that has sealed it; undefined when there is none yet. */
export function nodeKeySealedBy(home: string): string | undefined {
  try {
    const text = readFileSync(join(home, "node.key"), "utf8").trim();
    return Buffer.from(text, "base64").subarray(1, 5).toString("hex");
  } catch {
    return undefined;
  }
}

function fromPrivate(privateKey: KeyObject): NodeKey {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  return {
    publicKey: x,
    fingerprint: fingerprintOf(x),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
    seed: () => new Secret(privateKey.export({ format: "jwk" }).d ?? ""),
  };
}

export function fingerprintOf(publicKey: string): string {
  return createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex");
}

/** Whether the holder of a public key has signed this text. */
export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
  try {
    const key = createPublicKey({
      key: { kty: "OKP", crv: "Ed25519", x: publicKey },
      format: "jwk",
    });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64url"));
  } catch {
    return false;
  }
}
