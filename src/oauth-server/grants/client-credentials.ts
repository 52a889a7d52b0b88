import { Failure } from "#src/failure.ts";
import { type TokenAnswer, newTokenId, tokenAnswer } from "../tokens/issue.ts";
import { scopesFor, wantedResource } from "./request-checks.ts";
import type { GrantDeps, TokenRequest } from "./deps.ts";

/**
 * `client_credentials` (RFC 6749 section 4.4): an agent that the operator added acts for itself, on its own
 * account. Failures: `unauthorized_client`, `invalid_target`, `invalid_scope`.
 */
export async function clientCredentials(
  app: GrantDeps,
  { client, form }: TokenRequest,
): Promise<TokenAnswer> {
  const { agentId } = client;
  if (client.kind !== "operator" || agentId === undefined) throw new Failure("unauthorized_client");
  const { url, upstream } = wantedResource(app, client, form.getAll("resource"));
  const { credential } = upstream;
  if (credential.kind === "account" && client.account?.provider !== credential.provider) {
    throw new Failure(
      "invalid_target",
      `${upstream.name} needs an account at ${credential.provider}, and this agent has none`,
    );
  }
  return await tokenAnswer(app, client, {
    subject: client.clientId,
    audience: url,
    scopes: scopesFor(client, form.get("scope")),
    basis: `agent:${agentId}`,
    accountId: client.account?.id,
    tokenId: newTokenId(),
    issuedAt: app.now(),
  });
}
