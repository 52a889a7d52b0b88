import { openColumn } from "#src/accounts/credential.ts";
import { registrationOf } from "#src/accounts/registration.ts";
import type { ReadAccount } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { fingerprint } from "#src/crypto/secret.ts";
import { asFailure } from "#src/failure.ts";

/** What is known about an account's credential, and what a refresh would send; never the credential. */
export type RefreshDescription = {
  readonly account: string;
  readonly id: string;
  readonly state: string;
  readonly generation: number;
  readonly accessExpiresAt: Date | null;
  readonly refreshExpiresAt: Date | null;
  /** From here on it is renewed before anybody asks. */
  readonly refreshFrom: Date | null;
  readonly retryAt: Date | null;
  readonly lastError: string | null;
  readonly lease: { readonly holder: string; readonly until: Date } | null;
  /** Questions without an answer, and the journal in which it would be. */
  readonly openAttempts: number;
  readonly intentJournal: string | null;
  /** Undefined for a key that somebody pasted, and where the provider is not configured; `problem` says so. */
  readonly wouldSend: { readonly to: string; readonly parameters: readonly string[] } | undefined;
  readonly problem: string | undefined;
};

export function describeRefresh(
  app: Pick<App, "seal" | "catalog" | "config" | "publicUrl">,
  account: ReadAccount,
): RefreshDescription {
  const isLeased = account.leaseUntil !== null && account.leaseUntil > account.readAt;
  const { leaseHolder, leaseUntil } = account;
  return {
    account: `${account.provider}:${account.sellerId}`,
    id: account.id,
    state: account.state,
    generation: account.generation,
    accessExpiresAt: account.accessExpiresAt,
    refreshExpiresAt: account.refreshExpiresAt,
    refreshFrom: account.refreshFrom,
    retryAt: account.retryAt,
    lastError: account.lastError,
    lease:
      isLeased && leaseUntil !== null ? { holder: leaseHolder ?? "", until: leaseUntil } : null,
    openAttempts: account.intents,
    intentJournal: account.intents > 0 ? account.intentJournal : null,
    ...wish(app, account),
  };
}

type Wish = Pick<RefreshDescription, "wouldSend" | "problem">;

function wish(
  app: Pick<App, "seal" | "catalog" | "config" | "publicUrl">,
  account: ReadAccount,
): Wish {
  if (account.kind === "static") {
    return { wouldSend: undefined, problem: "a pasted key is never refreshed" };
  }
  if (account.refreshToken === null) {
    return {
      wouldSend: undefined,
      problem: "no refresh token came with it; it is used until it ends",
    };
  }
  try {
    const { provider, clientId, clientSecret } = registrationOf(app, account.provider);
    const token = openColumn(app, account, "refreshToken");
    const mark = Buffer.from(fingerprint(token.reveal())).toString("hex").slice(0, 12);
    const isBody = provider.clientAuthentication === "body";
    const proof =
      clientSecret === undefined ? [] : [isBody ? "client_secret=…" : "Authorization: Basic …"];
    const extra = Object.entries(provider.tokenParameters ?? {}).map(([k, v]) => `${k}=${v}`);
    const parameters = [
      "grant_type=refresh_token",
      `refresh_token=… (SHA-256 ${mark}…)`,
      `client_id=${clientId}`,
      ...proof,
      ...extra,
    ];
    return {
      wouldSend: { to: `POST ${provider.endpoints.token}`, parameters },
      problem: undefined,
    };
  } catch (error) {
    const { code, details } = asFailure(error);
    return { wouldSend: undefined, problem: details.hint ?? code };
  }
}
