import { isObject } from "#src/json.ts";
import { newPkce, type Pkce } from "#test/support/agent-like.ts";
import { newVisitor } from "#test/support/browser-like.ts";
import { post } from "#test/support/mcp.ts";
import { type AuthorizationServer, discover, textIn } from "./discover.ts";
import type { Emulator, Registration } from "./emulator.ts";
import { inSession, initialize, modern, resultOf, toolNamesIn } from "./messages.ts";
import { GivesUp, type Network, direct } from "./network.ts";
import { personDecides } from "./person.ts";

export type Pair = { readonly access: string; readonly refresh: string };

type Surroundings = {
  readonly port: number;
  readonly network?: Network;
  /** What the person says; yes, if nothing is said here. */
  readonly decision?: "allow" | "deny";
  /** Lets so many minutes pass for a code that is being carried over. */
  readonly minutesPass?: (minutes: number) => Promise<unknown>;
};

export type Connected = {
  readonly server: AuthorizationServer;
  readonly client: RegisteredClient;
  /** What the person was shown. */
  readonly pages: readonly string[];
  readonly pair: Pair;
};

export type RegisteredClient = Registration & {
  readonly clientId: string;
  readonly secret: string | undefined;
};

/** From the typed address to the first pair of tokens. Rejects with `GivesUp` where the client would. */
export async function connect(emulator: Emulator, around: Surroundings): Promise<Connected> {
  const network = around.network ?? direct;
  const server = await discover(network, emulator.typed(around), emulator.metadata);
  return await connectTo(server, emulator, around);
}

/** The same with a server that is already known. */
export async function connectTo(
  server: AuthorizationServer,
  emulator: Emulator,
  around: Surroundings,
): Promise<Connected> {
  const network = around.network ?? direct;
  const client = await register(emulator, network, server);
  const resource = emulator.typed(around);
  refuseServer(emulator, client, { server, resource });
  const { decision = "allow" } = around;
  const asked = { pkce: newPkce(), state: crypto.randomUUID(), decision };
  const { pages, code } = await askPerson(emulator, { server, client, resource, ...asked });
  if (emulator.minutesUntilCode > 0) await around.minutesPass?.(emulator.minutesUntilCode);
  const answer = await tokenRequest(
    network,
    { server, client },
    {
      grant_type: "authorization_code",
      code,
      redirect_uri: emulator.redirectUri,
      code_verifier: asked.pkce.verifier,
      ...(emulator.namesResource.code ? { resource } : {}),
    },
  );
  return { server, client, pages, pair: await pairIn(answer) };
}

/** The first way that the server offers. */
export async function register(
  { registrations, redirectUri }: Pick<Emulator, "registrations" | "redirectUri">,
  network: Network,
  server: AuthorizationServer,
): Promise<RegisteredClient> {
  for (const registration of registrations) {
    if (registration.way === "configured") return registration;
    if (registration.way === "document" && server.takesDocuments) {
      return { ...registration, secret: undefined };
    }
    if (registration.way === "dynamic" && server.registrationEndpoint !== undefined) {
      const { metadata, proof } = registration;
      const said = { token_endpoint_auth_method: proof.method, ...metadata };
      const answer = await network(server.registrationEndpoint, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(said),
      });
      if (answer.status !== 201) throw new GivesUp(`registration: ${await answer.text()}`);
      return { ...registration, ...registered(await answer.json(), { redirectUri, ...said }) };
    }
  }
  throw new GivesUp("there is no way to register");
}

/** RFC 7591 section 3.2.1, as the schemas of the SDKs read it. */
function registered(
  answer: unknown,
  said: { readonly redirectUri: string; readonly token_endpoint_auth_method: string },
) {
  if (!isObject(answer)) throw new GivesUp("the registration is no object");
  const uris = answer["redirect_uris"];
  if (!Array.isArray(uris) || !uris.includes(said.redirectUri)) {
    throw new GivesUp("the redirect URI was not taken");
  }
  if (answer["token_endpoint_auth_method"] !== said.token_endpoint_auth_method) {
    throw new GivesUp("another way to prove itself");
  }
  const isPublic = said.token_endpoint_auth_method === "none";
  const secret = isPublic ? undefined : textIn(answer, "client_secret");
  if (!isPublic && typeof answer["client_secret_expires_at"] !== "number") {
    throw new GivesUp("nobody knows when the secret expires");
  }
  return { clientId: textIn(answer, "client_id"), secret };
}

function refuseServer(
  { insistsOn }: Emulator,
  client: RegisteredClient,
  found: { readonly server: AuthorizationServer; readonly resource: string },
): void {
  const { announcesIss, authorizationEndpoint } = found.server;
  if (insistsOn.includes("iss announced for its document")) {
    if (client.way === "document" && !announcesIss) throw new GivesUp("iss is not announced");
  }
  if (insistsOn.includes("an authorization endpoint of the same origin, or iss announced")) {
    const isElsewhere = new URL(authorizationEndpoint).origin !== new URL(found.resource).origin;
    if (isElsewhere && !announcesIss) throw new GivesUp("the authorization endpoint is elsewhere");
  }
}

async function askPerson(
  emulator: Emulator,
  asking: {
    readonly server: AuthorizationServer;
    readonly client: RegisteredClient;
    readonly resource: string;
    readonly pkce: Pkce;
    readonly state: string;
    readonly decision: "allow" | "deny";
  },
): Promise<{ pages: readonly string[]; code: string }> {
  const { server, client, resource, pkce, state } = asking;
  const { redirectUri } = emulator;
  const query = new URLSearchParams({
    response_type: "code",
    client_id: client.clientId,
    redirect_uri: redirectUri,
    code_challenge: pkce.challenge,
    code_challenge_method: "S256",
    state,
    ...(emulator.namesResource.authorize ? { resource } : {}),
    ...emulator.asks,
  });
  const address = `${server.authorizationEndpoint}?${query.toString()}`;
  const { pages, back } = await personDecides(newVisitor(), {
    address,
    redirectUri,
    decision: asking.decision,
  });
  if (back === undefined) throw new GivesUp("nobody came back");
  return { pages, code: codeIn(emulator, back, { state, server }) };
}

/** RFC 9207 section 2.4, with the table of the MCP specification. */
function codeIn(
  { insistsOn }: Emulator,
  back: URL,
  expected: { readonly state: string; readonly server: AuthorizationServer },
): string {
  const { searchParams } = back;
  const { issuer, announcesIss } = expected.server;
  const iss = searchParams.get("iss");
  const mustHaveIss = announcesIss || insistsOn.includes("iss in the answer");
  if (iss === null ? mustHaveIss : iss !== issuer) throw new GivesUp(`iss is ${iss}`);
  if (searchParams.has("error")) throw new GivesUp(searchParams.get("error") ?? "");
  if (searchParams.get("state") !== expected.state) throw new GivesUp("state is not ours");
  const [code, ...others] = searchParams.getAll("code");
  if (code === undefined || others.length > 0) throw new GivesUp("there is not one code");
  return code;
}

export async function tokenRequest(
  network: Network,
  { server, client }: Pick<Connected, "server" | "client">,
  fields: Readonly<Record<string, string>>,
): Promise<Response> {
  return await proven(network, { server, client, address: server.tokenEndpoint }, fields);
}

async function proven(
  network: Network,
  to: Pick<Connected, "server" | "client"> & { readonly address: string },
  fields: Readonly<Record<string, string>>,
): Promise<Response> {
  const proof = await to.client.proof.prove({ ...to.client, ...to.server });
  return await network(to.address, {
    method: "POST",
    headers: { accept: "application/json", ...proof.headers },
    body: new URLSearchParams({ ...fields, ...proof.fields }),
  });
}

/** RFC 6749 section 5.1. */
export async function pairIn(answer: Response): Promise<Pair> {
  const text = await answer.text();
  if (answer.status !== 200) throw new GivesUp(`token: ${answer.status} ${text}`);
  if (answer.headers.get("cache-control") !== "no-store") throw new GivesUp("tokens may be kept");
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new GivesUp("the token answer is no object");
  if (textIn(value, "token_type").toLowerCase() !== "bearer") throw new GivesUp("no bearer");
  if (typeof value["expires_in"] !== "number") throw new GivesUp("no expires_in");
  return { access: textIn(value, "access_token"), refresh: textIn(value, "refresh_token") };
}

export async function refresh(
  emulator: Emulator,
  connected: Connected,
  asked: { readonly port: number; readonly token: string },
): Promise<Response> {
  return await tokenRequest(direct, connected, {
    grant_type: "refresh_token",
    refresh_token: asked.token,
    ...(emulator.repeatsScope ? { scope: emulator.asks["scope"] ?? "" } : {}),
    ...(emulator.namesResource.refresh ? { resource: emulator.typed(asked) } : {}),
  });
}

export async function revoke(connected: Connected, token: string): Promise<Response> {
  const { server } = connected;
  const to = { ...connected, address: server.revocationEndpoint };
  return await proven(direct, to, { token, token_type_hint: "refresh_token" });
}

/** `initialize`, its notification, the list of tools, the end of the session. */
export async function legacyTools(
  url: string,
  bearer: string,
  revision: string,
): Promise<{ readonly revision: string; readonly tools: readonly string[] }> {
  const first = initialize(revision);
  const begun = await post(url, bearer, first.message, first.headers);
  const agreed = textIn(await resultOf(begun), "protocolVersion");
  const session = { revision: agreed, id: begun.headers.get("mcp-session-id") };
  const ready = inSession("notifications/initialized", session);
  const heard = await post(url, bearer, ready.message, ready.headers);
  if (heard.status !== 202) throw new GivesUp(`${heard.status} for a notification`);
  const list = inSession("tools/list", session);
  const tools = toolNamesIn(await resultOf(await post(url, bearer, list.message, list.headers)));
  await fetch(url, {
    method: "DELETE",
    headers: { authorization: `Bearer ${bearer}`, ...list.headers },
  });
  return { revision: agreed, tools };
}

/** The text of a tool's answer, asked for by one message alone. */
export async function modernCall(url: string, bearer: string, name: string): Promise<string> {
  const { message, headers } = modern("tools/call", { name, arguments: {} });
  return JSON.stringify(await resultOf(await post(url, bearer, message, headers)));
}

/** The revisions that the server says it has. */
export async function discoverEra(url: string, bearer: string): Promise<unknown> {
  const { message, headers } = modern("server/discover");
  return (await resultOf(await post(url, bearer, message, headers)))["supportedVersions"];
}
