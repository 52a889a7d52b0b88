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
