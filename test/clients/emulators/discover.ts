import { isObject } from "#src/json.ts";
import { GivesUp, type Network } from "./network.ts";
import { initialize } from "./messages.ts";

export type AuthorizationServer = {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string;
  readonly registrationEndpoint: string | undefined;
  readonly deviceEndpoint: string | undefined;
  readonly takesDocuments: boolean;
  readonly announcesIss: boolean;
};

type Document = Readonly<Record<string, unknown>>;

/**
 * From the address that a person typed to the authorization server, with the checks that clients make:
 * the challenge, the metadata of the resource, the metadata of its first authorization server.
 */
export async function discover(
  network: Network,
  typed: string,
  kind: "oauth-authorization-server" | "openid-configuration",
): Promise<AuthorizationServer> {
  const resource = await resourceMetadata(network, typed);
  const [issuer] = listIn(resource, "authorization_servers");
  if (issuer === undefined) throw new GivesUp("the resource names no authorization server");
  const { origin, pathname } = new URL(issuer);
  const path = pathname === "/" ? "" : pathname;
  const found = await document(network, `${origin}/.well-known/${kind}${path}`);
  if (found["issuer"] !== issuer) throw new GivesUp(`issuer ${String(found["issuer"])}`);
  if (!listIn(found, "code_challenge_methods_supported").includes("S256")) {
    throw new GivesUp("no S256");
  }
  if (!listIn(found, "response_types_supported").includes("code")) throw new GivesUp("no codes");
  return readServer(found, issuer);
}

function readServer(found: Document, issuer: string): AuthorizationServer {
  const methods = listIn(found, "token_endpoint_auth_methods_supported");
  const optional = (name: string) => (found[name] === undefined ? undefined : textIn(found, name));
  return {
    issuer,
    authorizationEndpoint: textIn(found, "authorization_endpoint"),
    tokenEndpoint: textIn(found, "token_endpoint"),
    revocationEndpoint: textIn(found, "revocation_endpoint"),
    registrationEndpoint: optional("registration_endpoint"),
    deviceEndpoint: optional("device_authorization_endpoint"),
    takesDocuments:
      found["client_id_metadata_document_supported"] === true && methods.includes("none"),
    announcesIss: found["authorization_response_iss_parameter_supported"] === true,
  };
}

/** The first message without a token; the challenge; what it leads to, and the same by the path's rule. */
async function resourceMetadata(network: Network, typed: string): Promise<Document> {
  const refused = await network(typed, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify(initialize("2025-11-25").message),
  });
  if (refused.status !== 401) throw new GivesUp(`${refused.status} without a token`);
  const challenge = refused.headers.get("www-authenticate") ?? "";
  const named = /^Bearer\b.*\bresource_metadata="([^"]+)"/.exec(challenge)?.[1];
  if (named === undefined) throw new GivesUp(`the challenge is ${challenge}`);
  if (challenge.includes("offline_access")) throw new GivesUp("offline_access in the challenge");
  const { origin, pathname } = new URL(typed);
  const byRule = `${origin}/.well-known/oauth-protected-resource${pathname}`;
  const found = await document(network, named);
  const same = await document(network, byRule);
  for (const each of [found, same]) {
    if (each["resource"] !== typed) throw new GivesUp(`resource ${String(each["resource"])}`);
    if (listIn(each, "scopes_supported").includes("offline_access")) {
      throw new GivesUp("the resource offers offline_access");
    }
  }
  return found;
}

async function document(network: Network, url: string): Promise<Document> {
  const answer = await network(url, { headers: { accept: "application/json" } });
  const type = answer.headers.get("content-type") ?? "";
  if (answer.status !== 200 || !type.startsWith("application/json")) {
    throw new GivesUp(`${answer.status} ${type} at ${url}`);
  }
  const value: unknown = await answer.json();
  if (!isObject(value)) throw new GivesUp(`no object at ${url}`);
  return value;
}

export function textIn(value: Document, name: string): string {
  const text = value[name];
  if (typeof text !== "string" || text === "") throw new GivesUp(`${name} is missing`);
  return text;
}

function listIn(value: Document, name: string): readonly string[] {
  const list = value[name];
  return Array.isArray(list) ? list.filter((each) => typeof each === "string") : [];
}
