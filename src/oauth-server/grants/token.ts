import { Failure } from "#src/failure.ts";
import { authenticatedClient } from "../clients/authenticate.ts";
import { type GrantType, grantTypes } from "../clients/client.ts";
import type { TokenAnswer } from "../tokens/issue.ts";
import { expectField } from "../fields.ts";
import type { GrantDeps, TokenRequest } from "./deps.ts";
import { clientCredentials } from "./client-credentials.ts";
import { redeemDeviceCode } from "../devices/device.ts";
import { redeemAuthorizationCode } from "./redeem-code.ts";
import { rotate } from "./rotate.ts";

type Handler = (app: GrantDeps, asked: TokenRequest) => Promise<TokenAnswer>;

/** What there is a handler for is what the metadata lists. */
export const grantHandlers: Readonly<Record<GrantType, Handler>> = {
  authorization_code: redeemAuthorizationCode,
  refresh_token: rotate,
  client_credentials: clientCredentials,
  "urn:ietf:params:oauth:grant-type:device_code": redeemDeviceCode,
};

/**
 * The token endpoint (RFC 6749 section 3.2): who asks, with which grant, what for.
 * Failures: `invalid_request`, `invalid_client`, `unsupported_grant_type`, `unauthorized_client` and those of
 * the grants.
 */
export async function answerTokenRequest(
  app: GrantDeps,
  request: Request,
  form: URLSearchParams,
): Promise<TokenAnswer> {
  const wanted = expectField(form, "grant_type");
  const grantType = grantTypes.find((each) => each === wanted);
  if (grantType === undefined) throw new Failure("unsupported_grant_type");
  const client = await authenticatedClient(app, request, form);
  if (!client.grantTypes.includes(grantType)) throw new Failure("unauthorized_client");
  return await grantHandlers[grantType](app, { client, form });
}
