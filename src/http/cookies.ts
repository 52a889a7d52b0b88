/**
 * A cookie of this host alone, for scripts invisible (`__Host-`, RFC 6265bis section 4.1.3.2).
 * Browsers also take it over plain http from loopback, which is what the demo uses.
 */
export function hostCookie(name: string, value: string, maxAgeSeconds: number): string {
  return `${fullName(name)}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;
}

export function readHostCookie(request: Request, name: string): string | undefined {
  const wanted = `${fullName(name)}=`;
  const found = (request.headers.get("cookie") ?? "")
    .split(";")
    .map((part) => part.trim())
    .find((part) => part.startsWith(wanted));
  return found?.slice(wanted.length);
}

function fullName(name: string): string {
  return `__Host-smartdash-${name}`;
}
