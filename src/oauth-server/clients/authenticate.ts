import { timingSafeEqual } from "node:crypto";
import type { App } from "#src/app.ts";
import { fingerprint } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { type AssertionChecks, checkAssertion, subjectOf } from "./assertion.ts";
import type { AuthMethod, Client } from "./client.ts";
import { type Clients, clientOf } from "./find-client.ts";

export type ClientAuthDeps = Pick<App, "db" | "now" | "publicUrl"> &
  AssertionChecks & { readonly clients: Clients };

/** How clients may prove themselves, in the words of the metadata. */
export const authMethodNames = [
  "none",
  "client_secret_basic",
  "client_secret_post",
  "private_key_jwt",
] as const;

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/**
 * The client behind a request to one of the token endpoints (RFC 6749 section 2.3, RFC 7523 section 2.2).
 * Failures: `invalid_client`, `invalid_request` when it proves itself in two ways.
 */
export async function authenticatedClient(
  app: ClientAuthDeps,
  request: Request,
  form: URLSearchParams,
): Promise<Client> {
  const proof = proofIn(request, form);
  const client = await clientOf(app, proof.clientId).catch((error: unknown) => {
    throw clientFailure(error);
  });
  const isDeclared = client.authMethods.includes(proof.method);
  if (!isDeclared) throw refused("The client has to prove itself as it was registered");
  if (proof.method === "secret" && !hasSecret(client, proof.secret)) {
    throw refused("The client secret is wrong");
  }
  if (proof.method === "private_key_jwt") {
    const { pathname: path } = new URL(request.url);
    await checkAssertion(app, client, { assertion: proof.assertion, path });
  }
  return client;
}

/**
 * The same for a client that is known here and proves itself with its secret: nobody has to be asked. Undefined for
 * everybody else. Failures: those of a proof that cannot be read.
 */
export function knownClient(
  { clients }: Pick<ClientAuthDeps, "clients">,
  request: Request,
  form: URLSearchParams,
): Client | undefined {
  const proof = proofIn(request, form);
  if (proof.method !== "secret") return undefined;
  const client = clients.registered.fresh(proof.clientId);
  const isDeclared = client?.authMethods.includes("secret") === true;
  return isDeclared && hasSecret(client, proof.secret) ? client : undefined;
}

/** A client that is told it is unknown registers again; one whose document cannot be fetched now has to wait. */
function clientFailure(error: unknown): unknown {
  if (!(error instanceof Failure) || error.code !== "client_unknown") return error;
  const { retryAfterSeconds } = error.details;
  if (retryAfterSeconds === undefined) {
    return refused("The client is not known here; register again");
  }
  return new Failure("busy", "The client's document cannot be used now", { retryAfterSeconds });
}

/** The same, for endpoints that are not for everybody. Failures: `invalid_client` also for public clients. */
export async function confidentialClient(
  app: ClientAuthDeps,
  request: Request,
  form: URLSearchParams,
): Promise<Client> {
  const { method } = proofIn(request, form);
  if (method === "none") throw refused("This is for clients that prove themselves");
  return await authenticatedClient(app, request, form);
}

type Proof = { readonly clientId: string } & (
  | { readonly method: Extract<AuthMethod, "none"> }
  | { readonly method: Extract<AuthMethod, "secret">; readonly secret: string }
  | { readonly method: Extract<AuthMethod, "private_key_jwt">; readonly assertion: string }
);

function proofIn(request: Request, form: URLSearchParams): Proof {
  const basic = basicIn(request);
  const posted = form.get("client_secret");
  const assertion = form.get("client_assertion");
  const ways = [basic, posted, assertion].filter((way) => way !== null && way !== undefined);
  if (ways.length > 1) {
    throw new Failure("invalid_request", "The client proves itself in more than one way");
  }
  const clientId = form.get("client_id");
  if (basic !== undefined) {
    if (clientId !== null && clientId !== basic.clientId) throw refused("Two client ids");
    // A public client that proves itself with nothing (RFC 6749 section 2.3.1).
    return basic.secret === ""
      ? { method: "none", clientId: basic.clientId }
      : { method: "secret", ...basic };
  }
  if (assertion !== null) return assertionProof(form, assertion, clientId);
  if (clientId === null) throw refused("client_id is missing");
  return posted === null
    ? { method: "none", clientId }
    : { method: "secret", clientId, secret: posted };
}

function assertionProof(form: URLSearchParams, assertion: string, clientId: string | null): Proof {
  if (form.get("client_assertion_type") !== assertionType) {
    throw refused(`client_assertion_type must be ${assertionType}`);
  }
  const subject = subjectOf(assertion);
  if (clientId !== null && clientId !== subject) throw refused("Two client ids");
  return { method: "private_key_jwt", clientId: subject, assertion };
}

/** RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined. */
function basicIn(request: Request): { clientId: string; secret: string } | undefined {
  const encoded = /^Basic +([\w+/=-]+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const [id = "", secret] = Buffer.from(encoded, "base64").toString("utf8").split(/:(.*)/s);
  if (secret === undefined) throw refused("The Basic header holds no secret");
  return { clientId: formDecoded(id), secret: formDecoded(secret) };
}

function formDecoded(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

function hasSecret(client: Client, secret: string): boolean {
  const known = client.secretFingerprint;
  return known !== undefined && timingSafeEqual(fingerprint(secret), known);
}

function refused(why: string): Failure {
  return new Failure("invalid_client", why);
}
