import { CodeChallengeMethod, OAuth2Client, generateCodeVerifier, generateState } from "arctic";
import { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { Registration } from "./registration.ts";

type AuthorizationRequest = {
  readonly url: string;
  readonly state: string;
  readonly verifier: Secret;
};

/**
 * Where to send the browser (RFC 6749 section 4.1.1, RFC 7636). The only file that knows arctic.
 * Failures: `site_unknown`.
 */
export function buildAuthorizationRequest(
  registration: Registration,
  site: string | undefined,
): AuthorizationRequest {
  const { provider, clientId, redirectUri, scopes } = registration;
  const client = new OAuth2Client(clientId, null, redirectUri);
  const endpoint = authorizeEndpoint(registration, site);
  const state = generateState();
  const verifier = generateCodeVerifier();
  const method = CodeChallengeMethod.S256;
  const url = registration.usesPkce
    ? client.createAuthorizationURLWithPKCE(endpoint, state, method, verifier, [...scopes])
    : client.createAuthorizationURL(endpoint, state, [...scopes]);
  for (const [name, value] of Object.entries(provider.authorizeParameters ?? {})) {
    url.searchParams.set(name, value);
  }
  return { url: url.href, state, verifier: new Secret(verifier) };
}

function authorizeEndpoint(registration: Registration, site: string | undefined): string {
  const { sites, title, endpoints } = registration.provider;
  const wanted = site ?? registration.site ?? "";
  const host = sites !== undefined && Object.hasOwn(sites, wanted) ? sites[wanted] : undefined;
  if (sites !== undefined && host === undefined) {
    const known = Object.keys(sites).join(", ");
    throw new Failure("site_unknown", `The site must be one of ${known}`, {
      values: { provider: title },
    });
  }
  return endpoints.authorize.replace("{host}", host ?? "");
}
