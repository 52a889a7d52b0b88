import { isIP } from "node:net";
import type { Problem } from "#src/config/read.ts";
import { isObject } from "#src/json.ts";
import type { Outbound } from "#src/http/fetch-exchange.ts";
import { isLoopbackAddress, isPublicAddress } from "#src/http/address.ts";

/**
 * Endpoints of an issuer (RFC 8414 section 3; the OpenID Connect address as second choice).
 * Undefined when neither document is there, or the document is another issuer's (section 3.3).
 */
async function discoverEndpoints(outbound: Outbound, issuer: string) {
  const url = new URL(issuer);
  const path = url.pathname === "/" ? "" : url.pathname.replace(/\/$/, "");
  const documents = [
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
    `${url.origin}${path}/.well-known/openid-configuration`,
  ];
  for (const document of documents) {
    const metadata = await readMetadata(outbound, document);
    if (metadata?.["issuer"] !== issuer) continue;
    const address = (name: string) =>
      typeof metadata[name] === "string" ? metadata[name] : undefined;
    return {
      authorize: address("authorization_endpoint"),
      token: address("token_endpoint"),
      identity: address("userinfo_endpoint"),
      revoke: address("revocation_endpoint"),
      promises_iss: metadata["authorization_response_iss_parameter_supported"] === true,
    };
  }
  return undefined;
}

async function readMetadata(outbound: Outbound, url: string) {
  try {
    const answer = await outbound(url, { method: "GET", headers: { accept: "application/json" } });
    const body: unknown = answer.status === 200 ? JSON.parse(answer.text) : undefined;
    return isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** `providers` with the endpoints of every given issuer filled in; what cannot be discovered is a problem. */
export async function withDiscovered(
  outbound: Outbound,
  providers: Readonly<Record<string, unknown>>,
  issuers: ReadonlyMap<string, string>,
): Promise<{ providers: Readonly<Record<string, unknown>>; problems: Problem[] }> {
  const complete: Record<string, unknown> = { ...providers };
  const problems: Problem[] = [];
  for (const [name, issuer] of issuers) {
    const endpoints = URL.canParse(issuer) ? await discoverEndpoints(outbound, issuer) : undefined;
    const given = providers[name];
    const inside = Object.values(endpoints ?? {}).find((each) => leadsInside(each, issuer));
    if (inside !== undefined) {
      problems.push({
        setting: "SMARTDASH_PROVIDERS",
        message: `${name}: the metadata of ${issuer} leads to an address that is not public`,
      });
    }
    if (endpoints === undefined) {
      problems.push({
        setting: "SMARTDASH_PROVIDERS",
        message: `${name}: no metadata of issuer ${issuer} was found; write "authorize" and "token" instead`,
      });
    }
    complete[name] = { ...endpoints, ...(isObject(given) ? given : {}) };
  }
  return { providers: complete, problems };
}

/** Metadata from elsewhere must not send our secrets to an address of this network. */
function leadsInside(endpoint: unknown, issuer: string): boolean {
  if (typeof endpoint !== "string" || !URL.canParse(endpoint)) return false;
  const [there, here] = [new URL(endpoint).hostname, new URL(issuer).hostname];
  const address = there.replace(/^\[|\]$/g, "");
  return (
    isIP(address) !== 0 &&
    !isPublicAddress(address) &&
    !isLoopbackAddress(address) &&
    there !== here
  );
}
