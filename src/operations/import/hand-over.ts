import { openColumn, placeOf } from "#src/accounts/credential.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { beginRevoking, finishRevoking } from "#src/accounts/revocation/store.ts";
import {
  type Account,
  type ReadAccount,
  accountById,
  liveAccount,
  replaceCredential,
} from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { timely } from "#src/once.ts";
import type { Proven } from "./store.ts";

/**
 * The seller has another live account. One that has to be connected again gets this credential, which has just proven
 * itself; a good one stays as it is. Either way this copy goes, and the provider is not told.
 */
export async function handOver(
  app: App & RefreshDeps,
  provider: string,
  { id, identity }: Proven,
): Promise<boolean> {
  const [ours, theirs] = await Promise.all([
    timely(accountById(app.db, id)),
    timely(liveAccount(app.db, { provider, sellerId: identity.sellerId })),
  ]);
  const isNeeded = ours !== undefined && theirs?.state === "reconnect_required";
  if (isNeeded) await moveCredential(app, ours, theirs);
  await letGo(app, id);
  return isNeeded;
}

async function moveCredential(
  app: App & RefreshDeps,
  from: ReadAccount,
  to: Account,
): Promise<void> {
  const sealed = (field: "accessToken" | "refreshToken") =>
    app.seal.close(openColumn(app, from, field), placeOf(to.id, field));
  const known = app.journal.marks.highest(to.id);
  const { accessExpiresAt, refreshExpiresAt, refreshFrom, scope } = from;
  await timely(
    replaceCredential(
      app.db,
      { id: to.id, known },
      {
        accessToken: sealed("accessToken"),
        refreshToken: from.refreshToken === null ? null : sealed("refreshToken"),
        accessExpiresAt,
        refreshExpiresAt,
        refreshFrom,
        scope,
        kind: "oauth",
      },
    ),
  );
}

/** Another account of the same seller is live: this copy is not needed, and the provider is not told. */
async function letGo(app: App & RefreshDeps, id: string): Promise<void> {
  await timely(beginRevoking(app.db, id, app.now()));
  const account = await timely(accountById(app.db, id));
  if (account !== undefined) await timely(finishRevoking(app.db, account));
}
