import { isSame } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "./body.ts";

const mostBytes = 16 * 1024;

/** The fields of a posted form. Failures: `body_too_large`, `form_refused` when it is not a form. */
export async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  if (!type.toLowerCase().startsWith("application/x-www-form-urlencoded")) {
    throw new Failure("form_refused", "Send an application/x-www-form-urlencoded body");
  }
  const bytes = await readBounded(request, mostBytes);
  return new URLSearchParams(Buffer.from(bytes).toString("utf8"));
}

/** Failures: `form_refused` when no page of ours has sent the form. */
export function expectFormToken(form: URLSearchParams, token: string): void {
  if (!isSame(form.get("form_token") ?? "", token)) throw new Failure("form_refused");
}

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
