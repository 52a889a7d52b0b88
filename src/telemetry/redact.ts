/**
 * What a secret looks like wherever it turns up: our own tokens, those of the providers we know,
 * bearer headers, JWTs, and the value of a field whose name says what it is.
 */
const patterns = [
  /\bsd_[a-z]{2,4}_[\w-]{20,}/g,
  /\bBearer\s+[\w.~+/=-]{8,}/gi,
  /\bBasic\s+[\w+/=-]{8,}/gi,
  /\bAPP_USR-[\w-]{8,}/g,
  /\bTG-[\w-]{8,}/g,
  /\bpat\w{14}\.[0-9a-f]{16,}/g,
  /\b(?:sbp|sk|key)_?[A-Za-z0-9]{16,}/g,
  /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g,
  /\bpostgres(?:ql)?:\/\/[^\s"']+/g,
  /(?<=\b(?:access_token|refresh_token|client_secret|api_key|code_verifier|password)["']?\s*[=:]\s*["']?)[^\s"'&,}]{6,}/gi,
  /(?<=[?&](?:code|state)=)[^\s"'&]{6,}/g,
] as const;

/** `text` with everything that looks like a secret replaced; the last gate before any sink. */
export function redact(text: string): string {
  let clean = text;
  for (const pattern of patterns) clean = clean.replace(pattern, "[redacted]");
  return clean;
}
