const loopback = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * The same address under the public name, for a browser that came by another name of this machine: providers
 * send browsers to the public name, and a cookie set under another one would be missing there. Undefined
 * when it is there already, or when a proxy rewrites Host (it would be sent round in circles).
 */
export function atPublicUrl(publicUrl: string, request: Request): string | undefined {
  const host = request.headers.get("host") ?? "";
  const own = new URL(publicUrl).host;
  if (host === own || !loopback.test(host) || !loopback.test(own)) return undefined;
  const { pathname, search } = new URL(request.url);
  return `${publicUrl}${pathname}${search}`;
}
