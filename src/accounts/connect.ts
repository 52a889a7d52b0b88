import type { Topic } from "#db/topics.ts";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import { Secret, fingerprint } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { type Attempt, isStateKnown, saveAttempt, takeAttempt } from "#src/people/store.ts";
import { buildAuthorizationRequest } from "./authorization-request.ts";
import { type Identity, identify } from "./identity.ts";
import { exchangeCode } from "./provider-client.ts";
import { type Registration, registrationOf } from "./registration.ts";
import { type SaveDeps, saveConnection } from "./save-connection.ts";
import { accountById } from "./store.ts";
import type { Refusal, Tokens } from "./token-answer.ts";

/**
 * JOURNEY 1: a person connects an account.
 *
 *   GET /auth/authorize  → beginConnect  → the provider's pages
 *   GET callback         → finishConnect → take the attempt (once) → exchange → whose? → seal → save
 */
type ConnectDeps = Pick<App, "outbound" | "log" | "catalog" | "publicUrl"> & SaveDeps;

type ConnectRequest = {
  readonly provider: string;
  readonly site: string | undefined;
  /** Which agent the person wants to use; only shown to them later. */
  readonly platform: string | undefined;
  readonly personId: string | undefined;
  /** The secret of the browser's cookie: only the same browser may finish. */
  readonly browser: string;
  /** Where the person goes on afterwards: an address of our own. */
  readonly continueTo: string | undefined;
};

const fifteenMinutes = 15 * 60_000;

/** Where to send the browser. Failures: `provider_unknown`, `provider_not_configured`, `site_unknown`. */
export async function beginConnect(
  app: ConnectDeps,
  request: ConnectRequest,
): Promise<{ url: string }> {
  return await beginAttempt(app, request, null);
}

/**
 * Connects one account again, from a link that an agent passed on. The link is no login: a browser in which
 * another person is signed in is refused, and whoever signs in at the provider has to be that very seller.
 * Failures: `not_found`, `wrong_person`, those of `beginConnect`.
 */
export async function beginReconnect(
  app: ConnectDeps,
  wanted: { accountId: string; personId: string | undefined; browser: string },
): Promise<{ url: string }> {
  const { accountId, personId, browser } = wanted;
  const account = await accountById(app.db, accountId);
  if (account === undefined || account.state === "revoked") throw new Failure("not_found");
  if (personId !== undefined && personId !== account.personId) throw new Failure("wrong_person");
  const { provider, sellerId } = account;
  const sites = app.catalog.providers.get(provider)?.sites ?? {};
  const site =
    account.site !== null && Object.hasOwn(sites, account.site) ? account.site : undefined;
  const request = { provider, site, platform: undefined, personId, browser };
  return await beginAttempt(app, { ...request, continueTo: undefined }, sellerId);
}

async function beginAttempt(
  app: ConnectDeps,
  request: ConnectRequest,
  expectedSellerId: string | null,
): Promise<{ url: string }> {
  const registration = registrationOf(app, request.provider);
  const { url, state, verifier } = buildAuthorizationRequest(registration, request.site);
  const now = app.now();
  const id = newId(now);
  await saveAttempt(app.db, {
    id,
    stateFingerprint: fingerprint(state),
    browserFingerprint: fingerprint(request.browser),
    provider: request.provider,
    site: request.site ?? null,
    platform: request.platform ?? null,
    callbackPath: new URL(registration.redirectUri).pathname,
    personId: request.personId ?? null,
    continueTo: request.continueTo ?? null,
    expectedSellerId,
    verifierSealed: app.seal.close(verifier, verifierPlace(id)),
    expiresAt: new Date(now.getTime() + fifteenMinutes),
  });
  return { url };
}

type Callback = {
  readonly requestId: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly browser: string | undefined;
  readonly invite: string | undefined;
};

type Connected = {
  readonly accountId: string;
  readonly personId: string;
  readonly provider: string;
  readonly platform: string | null;
  readonly continueTo: string | null;
  /** What ended with it, for this process to forget. */
  readonly ended: readonly Topic[];
};

/**
 * Failures: `state_*`, `consent_denied`, `provider_said_no`, `exchange_failed`, `provider_busy`,
 * `identity_failed`, `other_seller`, `account_of_another`, `invite_needed`.
 */
export async function finishConnect(app: ConnectDeps, callback: Callback): Promise<Connected> {
  const { requestId } = callback;
  const state = callback.query.get("state");
  if (state === null || state === "") throw new Failure("state_missing");
  const attempt = await takeFor(app, state, callback);
  const registration = registrationOf(app, attempt.provider);
  const link = linkTo(attempt);
  refuseOtherIssuer(registration, callback.query, link);
  refuseProviderError(registration, callback.query, link);
  const verifier = openVerifier(app, attempt);
  const answer = await exchangeCode(app, registration, { query: callback.query, state, verifier });
  if ("refusal" in answer)
    throw exchangeFailure(app, registration, { refusal: answer.refusal, link, requestId });
  const { tokens } = answer;
  const identity = await identify(app, registration.provider, tokens);
  const saved = await saveConnection(
    app,
    connectionOf(registration, { attempt, tokens, identity, invite: callback.invite }),
  );
  app.log.info("account_connected", { provider: attempt.provider, accountId: saved.accountId });
  const { provider, platform, continueTo } = attempt;
  return { ...saved, provider, platform, continueTo };
}

async function takeFor(app: ConnectDeps, state: string, callback: Callback): Promise<Attempt> {
  const stateFingerprint = fingerprint(state);
  const browserFingerprint = fingerprint(callback.browser ?? "");
  const attempt = await takeAttempt(app.db, { stateFingerprint, browserFingerprint });
  if (attempt === undefined) {
    const isForeign = await isStateKnown(app.db, stateFingerprint);
    throw new Failure(isForeign ? "state_foreign" : "state_unknown");
  }
  if (attempt.expiresAt <= app.now())
    throw new Failure("state_expired", undefined, { link: linkTo(attempt) });
  if (attempt.callbackPath !== callback.path) throw new Failure("state_unknown");
  return attempt;
}

/** Where to begin again: a page of ours knows who is signed in, a bare link does not. */
function linkTo(attempt: Attempt): string {
  if (attempt.continueTo !== null) return attempt.continueTo;
  if (attempt.personId !== null) return "/";
  const query = new URLSearchParams({ provider: attempt.provider });
  if (attempt.site !== null) query.set("site", attempt.site);
  if (attempt.platform !== null) query.set("platform", attempt.platform);
  return `/auth/authorize?${query.toString()}`;
}

/** RFC 9207 section 2.4: compared as text, before anything else of the answer is believed. */
function refuseOtherIssuer({ provider }: Registration, query: URLSearchParams, link: string): void {
  const { issuer, promisesIssuer } = provider;
  const said = query.get("iss");
  const isRight = said === null ? promisesIssuer !== true : issuer === undefined || said === issuer;
  if (isRight) return;
  const values = { provider: provider.title, error: "wrong_issuer" };
  throw new Failure("exchange_failed", undefined, { link, values });
}

function refuseProviderError(
  registration: Registration,
  query: URLSearchParams,
  link: string,
): void {
  const error = query.get("error");
  if (error === null && query.has("code")) return;
  const values = { provider: registration.provider.title, error: shownCode(error) };
  const code = error === "access_denied" ? "consent_denied" : "provider_said_no";
  throw new Failure(code, undefined, { link, values });
}

/** A provider's error code as it may stand on a page; its free text never does. */
function shownCode(error: string | null): string {
  return error !== null && /^[\w.-]{1,60}$/.test(error) ? error : "unknown";
}

function openVerifier(app: ConnectDeps, attempt: Attempt): Secret {
  try {
    return app.seal.open(attempt.verifierSealed, verifierPlace(attempt.id));
  } catch (error) {
    if (error instanceof SealBroken) throw new Failure("credential_unreadable", error.message);
    throw error;
  }
}

function verifierPlace(id: string) {
  return { table: "connect_attempts", row: id, column: "verifier_sealed" };
}

function exchangeFailure(
  app: ConnectDeps,
  registration: Registration,
  what: { refusal: Refusal; link: string; requestId: string },
): Failure {
  const { code, status, means } = what.refusal;
  const { requestId } = what;
  app.log.warn("exchange_failed", {
    requestId,
    provider: registration.provider.name,
    code,
    status,
  });
  const values = { provider: registration.provider.title, error: code };
  return new Failure(means === "busy" ? "provider_busy" : "exchange_failed", undefined, {
    link: what.link,
    values,
  });
}

function connectionOf(
  registration: Registration,
  found: { attempt: Attempt; tokens: Tokens; identity: Identity; invite: string | undefined },
) {
  const { attempt, tokens, identity, invite } = found;
  return {
    provider: registration.provider,
    kind: "oauth" as const,
    personId: attempt.personId ?? undefined,
    expectedSellerId: attempt.expectedSellerId ?? undefined,
    invite,
    identity: { ...identity, site: identity.site ?? attempt.site ?? registration.site ?? null },
    tokens,
    link: linkTo(attempt),
  };
}
