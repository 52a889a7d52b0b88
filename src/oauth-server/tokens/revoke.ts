import { type Topic, publish } from "#db/topics.ts";
import { fingerprint, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { Client } from "../clients/client.ts";
import { authenticatedClient } from "../clients/authenticate.ts";
import { expectField } from "../fields.ts";
import { endGrant } from "../grants/consent.ts";
import { refreshTokenWithGrant } from "../grants/store.ts";
import type { GrantDeps } from "../grants/deps.ts";
import { proveAccessToken } from "./access-token.ts";

/**
 * Revocation (RFC 7009). Either token of a grant ends the whole grant; an agent's own token ends alone.
 * A token that nobody knows is as good as revoked. Failures: those of `authenticatedClient`, `invalid_request`
 * for another client's token.
 */
export async function revoke(
  app: GrantDeps,
  request: Request,
  form: URLSearchParams,
): Promise<void> {
  const client = await authenticatedClient(app, request, form);
  const token = expectField(form, "token");
  if (token.startsWith(tokenPrefixes.refresh)) await revokeRefreshToken(app, client, token);
  else await revokeAccessToken(app, client, token);
}

async function revokeRefreshToken(app: GrantDeps, client: Client, token: string): Promise<void> {
  const found = await refreshTokenWithGrant(app.db, fingerprint(token));
  if (found === undefined) return;
  refuseStrangers(client, found.grant.clientId);
  await endGrant(app, { id: found.grant.id }, "revoked_by_client");
}

async function revokeAccessToken(app: GrantDeps, client: Client, token: string): Promise<void> {
  const proven = await proveAccessToken(app, token);
  if (proven === undefined) return;
  refuseStrangers(client, proven.clientId);
  const [kind, id = ""] = proven.basis.split(":");
  if (kind === "grant") {
    await endGrant(app, { id }, "revoked_by_client");
    return;
  }
  const topics: readonly Topic[] = [`token:${proven.tokenId}`];
  await publish(app.db, topics);
  app.applyRevocations(topics);
}

function refuseStrangers(client: Client, owner: string): void {
  if (client.clientId === owner) return;
  throw new Failure("invalid_request", "The token belongs to another client");
}
