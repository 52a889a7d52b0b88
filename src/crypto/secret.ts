import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto";

const shown = "[secret]";

/** A value that never shows itself: not in text, JSON, logs or a debugger's print-out. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The only way to the value; every use of it is a place to review. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return shown;
  }
}

/** The prefixes by which our tokens are recognised by people, log redaction and secret scanners. */
export const tokenPrefixes = {
  session: "sd_ses_",
  cookie: "sd_web_",
  browser: "sd_try_",
  code: "sd_cod_",
  refresh: "sd_ref_",
  device: "sd_dev_",
  invite: "sd_inv_",
  review: "sd_rev_",
  clientSecret: "sd_sec_",
  probe: "sd_chk_",
} as const;

/** A bearer of 256 random bits behind its prefix. */
export function newToken(kind: keyof typeof tokenPrefixes): Secret {
  return new Secret(tokenPrefixes[kind] + randomBytes(32).toString("base64url"));
}

/** SHA-256: enough for values of 256 random bits, which nobody can guess. */
export function fingerprint(value: string): Uint8Array {
  return hash("sha256", value, "buffer");
}

/** HMAC-SHA-256 in base64url: proves that this gateway bound a text to a purpose. `more` goes on where `text` ends. */
export type TagOf = (key: Uint8Array, text: string, more?: string) => string;

export const tagOf: TagOf = (key, text, more) => {
  const tag = createHmac("sha256", key).update(text);
  if (more !== undefined) tag.update(more);
  return tag.digest("base64url");
};

/** Compares without telling how far two texts agree. */
export function isSame(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

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
