import { isLoopbackName } from "./loopback.ts";

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
