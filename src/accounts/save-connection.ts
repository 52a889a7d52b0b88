import type { Topic } from "#db/topics.ts";
import { databaseNow } from "#db/ping.ts";
import type { App } from "#src/app.ts";
import type { Provider } from "#src/providers/provider.ts";
import { newId } from "#src/crypto/ids.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { admit } from "#src/people/sign-up.ts";
import { placeOf } from "./credential.ts";
import type { Identity } from "./identity.ts";
import type { Journal } from "./journal/journal.ts";
import { lifetimes } from "./token-answer.ts";
import { type Account, addAccount, endAccessTo, liveAccount, replaceCredential } from "./store.ts";

type Connection = {
  readonly provider: Provider;
  readonly kind: Account["kind"];
  /** Who is signed in at the browser, if anybody. */
  readonly personId: string | undefined;
  readonly expectedSellerId: string | undefined;
  /** What the browser brought along as an invitation. */
  readonly invite: string | undefined;
  readonly identity: Identity;
  readonly tokens: {
    readonly access: Secret;
    readonly refresh: Secret | undefined;
    readonly accessSeconds: number | undefined;
    readonly refreshSeconds: number | undefined;
    readonly scope: string | undefined;
  };
  /** Where to start again when this connection is refused. */
  readonly link: string;
};

export type SaveDeps = Pick<App, "db" | "seal" | "now" | "random" | "config"> & {
  readonly journal: Pick<Journal, "marks">;
};
type Saved = {
  readonly accountId: string;
  readonly personId: string;
  /** What ended with it, for this process to forget. */
  readonly ended: readonly Topic[];
};

/**
 * Stores a proven credential: in the seller's row when there is one, else in a new one. Who holds the
 * seller's account at the provider is the person it belongs to here; that is how people sign in.
 *
 * A newer grant may have ended the stored one at the provider, so a known seller's credential is always
 * kept, even when the page then says that it was not the expected one.
 * Failures: `other_seller`, `account_of_another`, `account_has_oauth`, `exchange_failed`, `invite_needed`.
 */
export async function saveConnection(app: SaveDeps, connection: Connection): Promise<Saved> {
  const isPromised = connection.provider.refresh.isOptional !== true;
  if (connection.kind === "oauth" && isPromised && connection.tokens.refresh === undefined) {
    throw refusal(connection, "exchange_failed", "no_refresh_token");
  }
  const seller = { provider: connection.provider.name, sellerId: connection.identity.sellerId };
  const existing = await liveAccount(app.db, seller);
  if (existing !== undefined) return await saveAgain(app, existing, connection);
  refuseOtherSeller(connection);
  const added = await addNew(app, connection);
  if (added !== undefined) return added;
  const winner = await liveAccount(app.db, seller);
  if (winner === undefined) throw new Failure("internal");
  return await saveAgain(app, winner, connection);
}

async function saveAgain(app: SaveDeps, account: Account, connection: Connection): Promise<Saved> {
  if (connection.kind === "static" && account.kind === "oauth") {
    throw new Failure("account_has_oauth");
  }
  refuseShared(account, connection);
  // Whoever pasted a key may not be who owns the account: their sessions do not get the new credential.
  const isTakenOver = connection.kind === "oauth" && account.kind === "static";
  const ended = isTakenOver ? await endAccessTo(app.db, account.id, app.now()) : [];
  const known = app.journal.marks.highest(account.id);
  const generation = await replaceCredential(
    app.db,
    { id: account.id, known },
    {
      kind: connection.kind,
      ...(await sealed(app, account.id, connection)),
      ...(connection.identity.label === null ? {} : { label: connection.identity.label }),
    },
  );
  if (generation !== undefined) app.journal.marks.saw({ id: account.id, generation });
  refuseOtherSeller(connection);
  if (connection.personId !== undefined && connection.personId !== account.personId) {
    throw refusal(connection, "account_of_another");
  }
  return { accountId: account.id, personId: account.personId, ended };
}

/** An identity that a team shares says nothing about the person. Failures: `account_of_another`. */
function refuseShared(account: Account, connection: Connection): void {
  const rule = connection.provider.identity;
  const isShared = rule.from === "call" && rule.isShared === true;
  if (isShared && connection.personId !== account.personId) {
    throw refusal(connection, "account_of_another");
  }
}

async function addNew(app: SaveDeps, connection: Connection): Promise<Saved | undefined> {
  const { identity, provider, kind } = connection;
  const accountId = newId(app.now());
  const personId = connection.personId ?? newId(app.now());
  if (connection.personId === undefined) {
    const account = `${provider.name}:${identity.sellerId}`;
    await admit(app, { personId, account, invite: connection.invite });
  }
  const isAdded = await addAccount(app.db, {
    id: accountId,
    personId,
    provider: provider.name,
    kind,
    ...identity,
    ...(await sealed(app, accountId, connection)),
  });
  if (isAdded) app.journal.marks.saw({ id: accountId, generation: 1 });
  return isAdded ? { accountId, personId, ended: [] } : undefined;
}

async function sealed(app: SaveDeps, accountId: string, connection: Connection) {
  const { access, refresh, accessSeconds, refreshSeconds, scope } = connection.tokens;
  const ends =
    accessSeconds === undefined
      ? { accessExpiresAt: null, refreshExpiresAt: null, refreshFrom: null }
      : lifetimes(
          { at: await databaseNow(app.db), jitter: app.random() },
          { accessSeconds, refreshSeconds },
        );
  return {
    accessToken: app.seal.close(access, placeOf(accountId, "accessToken")),
    refreshToken:
      refresh === undefined ? null : app.seal.close(refresh, placeOf(accountId, "refreshToken")),
    scope: scope ?? null,
    ...ends,
    // Whoever looks for what is due would find nothing to send.
    ...(refresh === undefined ? { refreshFrom: null } : {}),
  };
}

function refuseOtherSeller(connection: Connection): void {
  const { expectedSellerId, identity } = connection;
  if (expectedSellerId === undefined || expectedSellerId === identity.sellerId) return;
  throw refusal(connection, "other_seller");
}

function refusal(
  connection: Connection,
  code: "other_seller" | "account_of_another" | "exchange_failed",
  error = "",
) {
  const values = {
    provider: connection.provider.title,
    expected: connection.expectedSellerId ?? "",
    actual: connection.identity.sellerId,
    error,
  };
  return new Failure(code, undefined, { values, link: connection.link });
}
