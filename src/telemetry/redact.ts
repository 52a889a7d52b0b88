/**
 * What a secret looks like wherever it turns up: our own tokens, those of the providers we know, bearer
 * headers, JWTs, database addresses. One expression, because every log line goes through it.
 */
const shapes = new RegExp(
  [
    "\\bsd_[a-z]{2,4}_[\\w-]{20,}",
    "\\b[Bb](?:earer|asic) +[\\w.~+/=-]{8,}",
    "\\bAPP_USR-[\\w-]{8,}",
    "\\bTG-[\\w-]{8,}",
    "\\bpat\\w{14}\\.[0-9a-f]{16,}",
    "\\bsbp_\\w{16,}",
    "\\beyJ[\\w-]+\\.[\\w-]+\\.[\\w-]*",
    "\\bpostgres(?:ql)?://[^\\s\"']+",
  ].join("|"),
  "g",
);

/** The value of a field, parameter or header whose name says what it is. */
const named =
  /\b(access_token|refresh_token|client_secret|api_key|code_verifier|password|[?&]code|[?&]state)(["']?\s*[=:]\s*["']?)[^\s"'&,}]{6,}/gi;

/** `text` with everything that looks like a secret replaced; the last gate before any sink. */
export function redact(text: string): string {
  return text.replace(shapes, "[redacted]").replace(named, "$1$2[redacted]");
}
