import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { Secret } from "./secret.ts";

/** Where a sealed value lives; moved anywhere else it does not open. */
export type Place = { readonly table: string; readonly row: string; readonly column: string };

export type Seal = {
  /** Seals with the first key. Layout: version 1 | key id 4 | nonce 12 | ciphertext | tag 16. */
  close(value: Secret, place: Place): Uint8Array;
  /** Opens with whichever key sealed it. Throws `SealBroken` when none fits or the place is another. */
  open(sealed: Uint8Array, place: Place): Secret;
  /** The ids of the configured keys, four bytes in hex each; the first one seals. */
  readonly keyIds: readonly string[];
};

export class SealBroken extends Error {
  /** It may be whole: the key that sealed it is not configured. */
  readonly isKeyMissing: boolean;

  constructor(place: Place, reason: string, isKeyMissing = false) {
    super(`The sealed ${place.table}.${place.column} does not open: ${reason}`);
    this.name = "SealBroken";
    this.isKeyMissing = isKeyMissing;
  }
}

const version = 1;
const [keyIdBytes, nonceBytes, tagBytes, keyBytes] = [4, 12, 16, 32];
const headBytes = 1 + keyIdBytes + nonceBytes;

/** AES-256-GCM under the first of `keys`; all of them open. Keys are 32 bytes. */
export function createSeal(keys: readonly Uint8Array[]): Seal {
  const [first] = keys;
  if (first === undefined) throw new Error("a seal needs a key");
  const byId = new Map(keys.map((key) => [keyId(key).toString("hex"), key]));
  return {
    keyIds: [...byId.keys()],
    close(value, place) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", first, nonce).setAAD(addressOf(place));
      const sealed = Buffer.concat([cipher.update(value.reveal(), "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(version), keyId(first), nonce, sealed, cipher.getAuthTag()]);
    },
    open(sealed, place) {
      const bytes = Buffer.from(sealed);
      const key = byId.get(bytes.subarray(1, 1 + keyIdBytes).toString("hex"));
      if (bytes[0] !== version || bytes.length < headBytes + tagBytes) {
        throw new SealBroken(place, "it is not a sealed value");
      }
      if (key === undefined) {
        throw new SealBroken(place, "its key is not among ENCRYPTION_KEY", true);
      }
      return openWith(key, bytes, place);
    },
  };
}

function openWith(key: Uint8Array, bytes: Buffer, place: Place): Secret {
  const nonce = bytes.subarray(1 + keyIdBytes, headBytes);
  const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(addressOf(place)).setAuthTag(bytes.subarray(-tagBytes));
  try {
    const opened = cipher.update(bytes.subarray(headBytes, -tagBytes));
    return new Secret(Buffer.concat([opened, cipher.final()]).toString("utf8"));
  } catch {
    throw new SealBroken(place, "it was changed or belongs to another row");
  }
}

function addressOf(place: Place): Buffer {
  return Buffer.from(`${place.table}:${place.row}:${place.column}`);
}

function keyId(key: Uint8Array): Buffer {
  return createHash("sha256")
    .update("smartdash key id")
    .update(key)
    .digest()
    .subarray(0, keyIdBytes);
}

/** A key for another purpose (HKDF-SHA-256, RFC 5869), so that one setting never serves two uses. */
export function deriveKey(key: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, "", `smartdash ${purpose}`, keyBytes));
}

/**
 * Reads a 32-byte key written as base64, base64url (which is how a Fernet key is written) or hex.
 * Undefined when it is anything else.
 */
export function readKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return new Uint8Array(Buffer.from(text, "hex"));
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === keyBytes ? new Uint8Array(bytes) : undefined;
}
