import { tokenPrefixes } from "#src/crypto/secret.ts";

/** How secrets begin: our own tokens, and those of the providers we know. */
const prefixes = [...Object.values(tokenPrefixes), "APP_USR-", "TG-"];

/**
 * What a secret looks like wherever it turns up: our own tokens, those of the providers we know, bearer
 * headers, JWTs, database addresses. One expression, because every log line goes through it.
 */
const shapes = new RegExp(
  [
    "\\bsd_[a-z]{2,4}_[\\w-]{20,}",
    "\\b[Bb](?:earer|asic)(?: |%20)+[\\w.~+/=%-]{8,}",
    "\\bAPP_USR-[\\w-]{8,}",
    "\\bTG-[\\w-]{8,}",
    "\\bpat\\w{14}\\.[0-9a-f]{16,}",
    "\\bsbp_\\w{16,}",
    "\\bwhsec_[\\w+/=-]{16,}",
    "\\beyJ[\\w-]+\\.[\\w-]+\\.[\\w-]*",
    "\\bpostgres(?:ql)?://[^\\s\"']+",
  ].join("|"),
  "g",
);

/** The value of a field, parameter or header whose name says what it is. */
const named =
  /\b(access_token|refresh_token|client_secret|api_key|code_verifier|password|[?&]code|[?&]state)(["']?\s*[=:]\s*["']?)[^\s"'&,}\\]{6,}/gi;

/** A run that a secret in another encoding would be part of; two ids in a row are shorter. */
const longRun = /(?:^|[^\w+/=-])[\w+/=-]{44}/;
const encoded = new RegExp(prefixes.flatMap(encodings).join("|"), "g");

/** A prefix as hex, and as base64 wherever in a text it begins. */
function encodings(prefix: string): readonly string[] {
  const hex = Buffer.from(prefix).toString("hex");
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(prefix)]).toString("base64url");
    // Characters that also hold bits of what stands before or behind it are not its own.
    const [from, to] = [
      Math.ceil((offset * 8) / 6),
      Math.floor(((offset + prefix.length) * 8) / 6),
    ];
    return `[\\w+/-]*${text.slice(from, to)}[\\w+/-]{20,}={0,2}`;
  });
  const upper = hex.toUpperCase();
  return [`${hex}[0-9a-f]{24,}`, ...(upper === hex ? [] : [`${upper}[0-9A-F]{24,}`]), ...base64];
}

/** `text` with everything that looks like a secret replaced; the last gate before any sink. */
export function redact(text: string): string {
  const plain = text.replace(shapes, "[redacted]").replace(named, "$1$2[redacted]");
  return longRun.test(plain) ? plain.replace(encoded, "[redacted]") : plain;
}
