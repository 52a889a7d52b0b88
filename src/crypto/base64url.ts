/**
 * The bytes of a text in base64url without padding (RFC 4648 section 5); undefined for one that is not written in the
 * one form that they have: padded, with other letters, or with bits set that are none of theirs.
 */
export function fromBase64url(text: string): Buffer<ArrayBuffer> | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/** Whether a text is a signed JSON Web Token as RFC 7515 section 7.1 writes one, in its one form. */
export function isCompactToken(text: string): boolean {
  const parts = text.split(".", 4);
  return (
    parts.length === 3 && parts.every((part) => part !== "" && fromBase64url(part) !== undefined)
  );
}
