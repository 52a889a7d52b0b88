import { isLoopbackName } from "./address.ts";

/**
 * The same address under the public name, for a browser that came by another name of this machine: providers
 * send browsers to the public name, and a cookie set under another one would be missing there. Undefined
 * when it is there already, or when a proxy rewrites Host (it would be sent round in circles).
 */
export function atPublicUrl(publicUrl: string, request: Request): string | undefined {
  const host = request.headers.get("host") ?? "";
  const own = new URL(publicUrl);
  const isElsewhere = host !== own.host && URL.canParse(`http://${host}`);
  if (!isElsewhere || !isLoopbackName(own.hostname)) return undefined;
  if (!isLoopbackName(new URL(`http://${host}`).hostname)) return undefined;
  const { pathname, search } = new URL(request.url);
  return `${publicUrl}${pathname}${search}`;
}

/**
 * Whether an address is written as everybody reads it (WHATWG URL, RFC 3986): nothing of it would be changed by
 * whoever parses it, but for a slash that is the whole path. `https:/host`, `https://host:443`, `https://HOST`,
 * `https://a/../b` and `http://127.1` are not.
 */
export function isCanonicalUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { href, pathname, search } = new URL(text);
  return href === text || (pathname === "/" && href === `${beforeQuery(text)}/${search}`);
}

function beforeQuery(text: string): string {
  const query = text.indexOf("?");
  return query === -1 ? text : text.slice(0, query);
}
