import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure } from "#src/failure.ts";
import type { Client } from "../clients/client.ts";
import {
  type Addressed,
  type Resource,
  isSameResource,
  knownResource,
  resourceOf,
  resourceOfUpstream,
} from "../resource.ts";
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
function mayUse(client: Client, upstream: Upstream): void {
  if (client.upstreams === undefined || client.upstreams.includes(upstream.name)) return;
  throw new Failure("invalid_target", `This client may not use ${upstream.name}`);
}

/**
 * What a client asks for; without a word, the first upstream that the operator gave it, else the default one.
 * Failures: `invalid_target`.
 */
export function wantedResource(app: Addressed, client: Client, asked: readonly string[]): Resource {
  const [own] = client.upstreams ?? [];
  const isSilent = asked.every((each) => each === "");
  const wanted =
    own !== undefined && isSilent ? resourceOfUpstream(app, own) : resourceOf(app, asked);
  mayUse(client, wanted.upstream);
  return wanted;
}

/** The same where a person decides: what is the operator's alone is no person's to allow. Failures: `invalid_target`. */
export function personsResource(
  app: Addressed,
  client: Client,
  asked: readonly string[],
): Resource {
  const wanted = wantedResource(app, client, asked);
  if (wanted.upstream.credential.kind === "operator") {
    throw new Failure("invalid_target", `${wanted.upstream.name} is for agents of the operator`);
  }
  return wanted;
}

/**
 * A token is for what the person saw: a later `resource` may repeat it, not change it, and the address still
 * has to mean the same upstream. Failures: `invalid_target`.
 */
export function checkResource(
  app: Addressed,
  form: URLSearchParams,
  granted: { readonly resource: string; readonly upstream: string },
): void {
  const asked = form.getAll("resource").filter((each) => each !== "");
  const isOther = asked.some(
    (each) => !isSameResource(knownResource(app, each)?.url ?? "", granted.resource),
  );
  const isMoved = knownResource(app, granted.resource)?.upstream.name !== granted.upstream;
  if (isOther || isMoved || asked.length > 1) {
    throw new Failure("invalid_target", "The grant is for another resource");
  }
}
