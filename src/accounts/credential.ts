import type { App } from "#src/app.ts";
import { type Cache, createCache } from "#src/cache.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { type Account, accountById } from "./store.ts";

/** An account's access token, opened, with what a call has to know about it. */
export type Held = {
  readonly accountId: string;
  readonly provider: string;
  readonly kind: Account["kind"];
  readonly state: Account["state"];
  readonly generation: number;
  readonly access: Secret;
  readonly expiresAt: number;
  /** From here on it is refreshed in the background while calls still use it. */
  readonly refreshFrom: number;
  readonly retryAt: number;
};

export type Credentials = Cache<Held>;

/** What this process holds open. Other replicas' changes are seen after five seconds, or on a 401. */
export function createCredentials(app: Pick<App, "now">): Credentials {
  const now = () => app.now().getTime();
  return createCache<Held>({ freshMs: 5000, staleMs: 60_000, size: 10_000, now });
}

type Reading = Pick<App, "db" | "seal">;

/** Failures: `reconnect_needed` when the account is gone, `database_unavailable`, `credential_unreadable`. */
export async function heldCredential(
  app: Reading,
  credentials: Credentials,
  accountId: string,
): Promise<Held> {
  const held = await credentials.get(accountId, () => readHeld(app, accountId));
  if (held === undefined)
    throw new Failure("reconnect_needed", "This account is no longer connected");
  return held;
}

/** As it stands in the database now. */
export async function readHeld(app: Reading, accountId: string): Promise<Held | undefined> {
  const account = await timely(accountById(app.db, accountId));
  return account === undefined ? undefined : openHeld(app, account);
}

export function openHeld(app: Pick<App, "seal">, account: Account): Held {
  const expiresAt = account.accessExpiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return {
    accountId: account.id,
    provider: account.provider,
    kind: account.kind,
    state: account.state,
    generation: account.generation,
    access: openColumn(app, account, "accessToken"),
    expiresAt,
    refreshFrom: refreshMoment(account, expiresAt),
    retryAt: account.retryAt?.getTime() ?? 0,
  };
}

const columns = { accessToken: "access_token", refreshToken: "refresh_token" } as const;

/** Failures: `credential_unreadable`. */
export function openColumn(
  app: Pick<App, "seal">,
  account: Account,
  field: keyof typeof columns,
): Secret {
  const sealed = account[field];
  if (sealed === null) throw new Failure("reconnect_needed");
  try {
    return app.seal.open(sealed, placeOf(account.id, field));
  } catch (error) {
    if (error instanceof SealBroken) throw new Failure("credential_unreadable", error.message);
    throw error;
  }
}

export function placeOf(accountId: string, field: keyof typeof columns) {
  return { table: "accounts", row: accountId, column: columns[field] };
}

const longestHeadStartMs = 10 * 60_000;

/**
 * A tenth of the lifetime before the end, ten minutes at most, spread by up to half of that so that
 * accounts connected together are not refreshed together. The same on every replica.
 */
function refreshMoment(account: Account, expiresAt: number): number {
  if (account.kind === "static" || !Number.isFinite(expiresAt)) return Number.POSITIVE_INFINITY;
  const lifetime = expiresAt - account.updatedAt.getTime();
  const headStart = Math.min(Math.max(lifetime, 0) / 10, longestHeadStartMs);
  const spread = (Number.parseInt(account.id.slice(-4), 16) % 1000) / 1000;
  return expiresAt - headStart * (1 + spread / 2);
}
