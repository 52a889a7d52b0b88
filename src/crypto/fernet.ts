import { createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";

const [keyBytes, headBytes, ivBytes, tagBytes, version] = [32, 9, 16, 32, 0x80];

/**
 * The text in a Fernet token (spec 0x80: AES-128-CBC, HMAC-SHA-256), opened with whichever key made it; undefined when
 * none did. Its age is not looked at. Only for what others have sealed: we seal with `seal.ts`.
 * @param keys 32 bytes each.
 */
export function openFernet(token: string, keys: readonly Uint8Array[]): string | undefined {
  const bytes = Buffer.from(token, "base64url");
  const smallest = headBytes + ivBytes + ivBytes + tagBytes;
  if (bytes[0] !== version || bytes.length < smallest) return undefined;
  const signed = bytes.subarray(0, -tagBytes);
  const key = keys.find((each) => isTagged(signed, bytes.subarray(-tagBytes), each));
  if (key === undefined) return undefined;
  const iv = signed.subarray(headBytes, headBytes + ivBytes);
  const cipher = createDecipheriv("aes-128-cbc", key.subarray(keyBytes / 2), iv);
  try {
    const text = Buffer.concat([
      cipher.update(signed.subarray(headBytes + ivBytes)),
      cipher.final(),
    ]);
    return text.toString("utf8");
  } catch {
    // A wrong padding behind a right tag: whoever made it was broken.
    return undefined;
  }
}

function isTagged(signed: Uint8Array, tag: Uint8Array, key: Uint8Array): boolean {
  if (key.length !== keyBytes) return false;
  const wanted = createHmac("sha256", key.subarray(0, keyBytes / 2))
    .update(signed)
    .digest();
  return timingSafeEqual(wanted, tag);
}
