import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";
import type { Client } from "../clients/client.ts";
import { type Scope, readScopes } from "../scopes.ts";

/**
 * What a client gets of the scopes it asks for: those it may have; its default when it asks for none that we
 * know (RFC 6749 section 3.3). Failures: `invalid_scope` when nothing would be left.
 */
export function scopesFor(client: Client, asked: string | null): readonly Scope[] {
  const wanted = readScopes(asked ?? "");
  if (wanted.length === 0) return client.scopes;
  const given = wanted.filter((scope) => client.scopes.includes(scope));
  if (given.length === 0) throw new Failure("invalid_scope");
  return given;
}

/** Failures: `invalid_target`. */
export function mayUse(client: Client, upstream: Upstream): void {
  if (client.upstreams === undefined || client.upstreams.includes(upstream.name)) return;
  throw new Failure("invalid_target", `This client may not use ${upstream.name}`);
}
