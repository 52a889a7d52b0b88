import { Failure } from "#src/failure.ts";
import type { Client } from "../clients/client.ts";
import { resourceOf, resourceOfUpstream } from "../resource.ts";
import { type TokenAnswer, newTokenId, tokenAnswer } from "../tokens/issue.ts";
import { mayUse, scopesFor } from "./request-checks.ts";
import type { Redeeming, TokenRequest } from "./token.ts";

/**
 * `client_credentials` (RFC 6749 section 4.4): an agent that the operator added acts for itself, on its own
 * account. Failures: `unauthorized_client`, `invalid_target`, `invalid_scope`.
 */
export async function clientCredentials(
  app: Redeeming,
  { client, form }: TokenRequest,
): Promise<TokenAnswer> {
  const { agentId } = client;
  if (client.kind !== "operator" || agentId === undefined) throw new Failure("unauthorized_client");
  const { url, upstream } = wantedResource(app, client, form);
  mayUse(client, upstream);
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
    tokenId: newTokenId(),
    issuedAt: app.now(),
  });
}

/** Without a word: the first upstream that the operator gave the agent, else the default one. */
function wantedResource(app: Redeeming, client: Client, form: URLSearchParams) {
  const asked = form.getAll("resource");
  const [own] = client.upstreams ?? [];
  return own !== undefined && asked.length === 0
    ? resourceOfUpstream(app, own)
    : resourceOf(app, asked);
}
