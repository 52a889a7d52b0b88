import { isCanonicalUrl } from "#src/http/public-url.ts";
import { isLoopbackName } from "#src/http/address.ts";

/** Schemes of desktop clients that cannot be reached otherwise; they prove nothing, so a public client is asked about each time. */
const privateSchemes = new Set([
  "cursor:",
  "vscode:",
  "vscode-insiders:",
  "windsurf:",
  "zed:",
  "claude:",
  "goose:",
  "raycast:",
]);
const dangerousSchemes = /^(javascript|data|vbscript|file|blob|about):/i;
const mostCharacters = 2048;

type RedirectKind = "web" | "loopback" | "private" | "dangerous" | "refused";

/** What a redirect URI is: RFC 8252 section 7, RFC 9700 section 2.1. */
export function redirectKind(text: string): RedirectKind {
  if (dangerousSchemes.test(text.trim())) return "dangerous";
  if (!isPlainAddress(text)) return "refused";
  const { protocol, hostname } = new URL(text);
  if (protocol === "https:") return "web";
  if (protocol === "http:") return isLoopbackName(hostname) ? "loopback" : "refused";
  return privateSchemes.has(protocol) ? "private" : "refused";
}

/** Whether browsers may be sent there at all. */
export function isUsableRedirect(text: string): boolean {
  return !["dangerous", "refused"].includes(redirectKind(text));
}

/** Printable, bounded, without what readers of URLs disagree about. */
function isPlainAddress(text: string): boolean {
  if (!/^[\x21-\x7e]+$/.test(text) || text.length > mostCharacters) return false;
  if (/[\\#]/.test(text) || !isCanonicalUrl(withoutUsualPort(text))) return false;
  const { username, password } = new URL(text);
  return username === "" && password === "";
}

/** A program of this computer may say `:80`: ports of loopback are not compared. */
function withoutUsualPort(text: string): string {
  return text.replace(/^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])):80(?=[/?]|$)/, "$1");
}

/**
 * Whether `asked` is a registered redirect URI: the very same text, except that a loopback address may name
 * any port and any name of this machine (RFC 8252 section 7.3; what clients send).
 */
export function isRegisteredRedirect(registered: readonly string[], asked: string): boolean {
  if (!isUsableRedirect(asked)) return false;
  if (registered.includes(asked)) return true;
  if (redirectKind(asked) !== "loopback") return false;
  const wanted = afterLoopbackOrigin(asked);
  return registered.some(
    (each) => redirectKind(each) === "loopback" && afterLoopbackOrigin(each) === wanted,
  );
}

/** Path and query as they are written; nothing of them is normalised. */
function afterLoopbackOrigin(uri: string): string {
  return uri.replace(/^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d*)?/, "");
}

/** What a person is shown of a redirect URI: the host, or the scheme of a desktop client. A loopback port says nothing. */
export function redirectHost(uri: string): string {
  const { host, hostname, protocol } = new URL(uri);
  const kind = redirectKind(uri);
  if (kind === "private") return protocol;
  return kind === "loopback" ? hostname : host;
}
