import { type Account, accountsOf, isDisconnected } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { newId } from "#src/crypto/ids.ts";
import { fingerprint, isSame, newToken, tagOf } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import { redirectHost, redirectKind } from "../clients/redirect-uris.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { type Grant, consentOf, saveDecision, endGrants } from "./store.ts";
import { createHash } from "node:crypto";
import type { ApplyRevocations } from "#src/bus.ts";

const fifteenMinutesMs = 15 * 60_000;
const codeMinutes = 5;

/**
 * What a consent form carries: made for this person, this very request and the next 15 minutes. Shown for
 * one client it is worthless for another.
 */
export function consentToken(
  app: Pick<App, "bindingKey" | "now">,
  person: SignedIn,
  about: string,
): string {
  const at = app.now().getTime().toString(36);
  return `${at}.${tagOf(app.bindingKey, `consent ${person.formToken} ${at} ${about}`)}`;
}

/** Failures: `consent_expired`. */
export function checkConsentToken(
  app: Pick<App, "bindingKey" | "now">,
  person: SignedIn,
  given: { token: string; about: string },
): void {
  const [at = "", tag = ""] = given.token.split(".");
  const right = tagOf(app.bindingKey, `consent ${person.formToken} ${at} ${given.about}`);
  const ageMs = app.now().getTime() - Number.parseInt(at, 36);
  if (!isSame(tag, right) || !(ageMs <= fifteenMinutesMs)) throw new Failure("consent_expired");
}

/** The person's accounts that an upstream can be used with. */
export async function accountsFor(
  app: Pick<App, "db">,
  person: SignedIn | undefined,
  { credential }: Upstream,
): Promise<readonly Account[]> {
  if (person === undefined) return [];
  const all = await accountsOf(app.db, person.personId);
  return all.filter(
    (account) =>
      !isDisconnected(account) &&
      (credential.kind !== "account" || credential.provider === account.provider),
  );
}

/**
 * Whether an answer may be given without asking again. A public client whose id everybody knows, or whose
 * answer goes to whichever program has taken its scheme, could be any program (RFC 8252 section 8.6). A client
 * that registered itself has an id of its own.
 */
export function mayRemember({ client, redirectUri }: AuthorizationRequest): boolean {
  const kind = redirectKind(redirectUri);
  const isPublic = client.authMethods.includes("none");
  return kind === "web" || !isPublic || (kind === "loopback" && client.kind === "dynamic");
}

/**
 * The person's last answer, when nothing of it has changed: client, what the client says about
 * itself, redirect host, scopes, upstream, account.
 */
export async function rememberedAnswer(
  app: Pick<App, "db">,
  asked: AuthorizationRequest,
  known: { person: SignedIn; accounts: readonly Account[] },
): Promise<Answer | undefined> {
  const { client, redirectUri, resource, scopes } = asked;
  if (!mayRemember(asked)) return undefined;
  const consent = await consentOf(app.db, {
    personId: known.person.personId,
    clientId: client.clientId,
    upstream: resource.upstream.name,
  });
  const isSameAnswer =
    consent !== undefined &&
    consent.scope === scopes.join(" ") &&
    consent.redirectHost === redirectHost(redirectUri) &&
    Buffer.from(consent.clientFingerprint).equals(client.fingerprint);
  if (!isSameAnswer) return undefined;
  const account = known.accounts.find(({ id }) => id === consent.accountId);
  const { onlyReading } = consent;
  return account === undefined
    ? undefined
    : { person: known.person, account, onlyReading, isRemembered: true };
}

/** What a person has agreed to, beside what was asked. */
export type Answer = {
  readonly person: SignedIn;
  readonly account: Account;
  /** Only tools that say they change nothing. */
  readonly onlyReading: boolean;
  /** They were not asked anew: what they have narrowed since then stays as it is. */
  readonly isRemembered?: boolean;
};

/** The person's yes: a grant that begins with its code, and the code. */
export async function approve(
  app: Pick<App, "db" | "now" | "log">,
  asked: AuthorizationRequest,
  by: Answer,
): Promise<string> {
  const { client, redirectUri, resource, scopes } = asked;
  const now = app.now();
  const code = newToken("code").reveal();
  const grant = grantFrom(asked, { ...by, id: newId(now) });
  await saveDecision(app.db, {
    grant: { ...grant, redirectHost: redirectHost(redirectUri) },
    code: {
      fingerprint: fingerprint(code),
      redirectUri,
      challenge: asked.challenge,
      expiresAt: new Date(now.getTime() + codeMinutes * 60_000),
    },
    consent: {
      personId: by.person.personId,
      clientId: client.clientId,
      upstream: resource.upstream.name,
      accountId: by.account.id,
      redirectHost: redirectHost(redirectUri),
      scope: scopes.join(" "),
      onlyReading: by.onlyReading,
      clientFingerprint: client.fingerprint,
    },
    isAnew: by.isRemembered !== true,
  });
  app.log.info("consent_given", { grantId: grant.id, clientId: client.clientId.slice(0, 200) });
  return code;
}

/** What is granted, before it is known how the client comes for it. */
export function grantFrom(
  asked: Pick<AuthorizationRequest, "client" | "resource" | "scopes">,
  by: Answer & { readonly id: string },
) {
  const { client, resource, scopes } = asked;
  return {
    id: by.id,
    personId: by.person.personId,
    accountId: by.account.id,
    clientId: client.clientId,
    clientName: client.name,
    redirectHost: null,
    upstream: resource.upstream.name,
    resource: resource.url,
    scope: scopes.join(" "),
    onlyReading: by.onlyReading,
  };
}

/** What makes two grants the same for policy. */
type PolicySubject = Pick<Grant, "personId" | "accountId" | "upstream" | "clientId">;

/**
 * What limits, budgets, stops, policies and approvals of a grant hang on: the same for every grant that a person gives
 * a client for an upstream and an account, so that a client cannot shake them off with a new one. The database works it
 * out by itself (`grants.policy_id`). No secret: a short name for the four together.
 */
export function policyIdOf({ personId, accountId, upstream, clientId }: PolicySubject): string {
  const text = [personId, accountId, upstream, clientId].join("|");
  const hex = createHash("md5").update(text).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** How policy, switches and the audit trail name it. */
export function policyKeyOf(grant: Pick<Grant, "policyId">): string {
  return `grant:${grant.policyId}`;
}

/** Under which name the person's own narrowing of it is a policy, beside the operator's: a new consent lifts this one alone. */
export function narrowingKeyOf({ policyId }: Pick<Grant, "policyId">): string {
  return `narrowed:${policyId}`;
}

type EndingGrants = Pick<App, "db" | "now" | "log"> & {
  readonly applyRevocations: ApplyRevocations;
};

/** Ends a grant with everything that rests on it, here at once, elsewhere within two seconds. */
export async function endGrant(
  app: EndingGrants,
  which: { id: string; personId?: string },
  why: string,
): Promise<void> {
  const topics = await endGrants(app.db, which, app.now());
  app.applyRevocations(topics);
  if (topics.length > 0) app.log.info("grant_ended", { grantId: which.id, why });
}
