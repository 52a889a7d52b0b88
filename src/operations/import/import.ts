import { hash } from "node:crypto";
import { databaseNow } from "#db/ping.ts";
import { openHeld, placeOf, openColumn } from "#src/accounts/credential.ts";
import { identify } from "#src/accounts/identity.ts";
import { lifetimes } from "#src/accounts/token-answer.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { type Registration, registrationOf } from "#src/accounts/registration.ts";
import {
  type Account,
  type ReadAccount,
  accountById,
  liveAccount,
  replaceCredential,
} from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { isObject } from "#src/json.ts";
import { openFernet } from "#src/crypto/fernet.ts";
import { newId } from "#src/crypto/ids.ts";
import { Secret } from "#src/crypto/secret.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { ParseSource, SourceRow } from "./parse-source.ts";
import {
  type Import,
  type Proven,
  importOf,
  saveIdentity,
  saveImported,
  saveOutcome,
} from "./store.ts";
import { beginRevoking, finishRevoking } from "#src/accounts/revocation/store.ts";

type ImportDeps = App & RefreshDeps;

type Wish = {
  readonly source: ParseSource;
  /** Whose accounts they are. */
  readonly provider: string;
  /** Fernet keys, 32 bytes each. */
  readonly keys: readonly Uint8Array[];
  readonly isDryRun: boolean;
  readonly deletesSource: boolean;
};

/**
 * `imported`: refreshed here, ours alone. `stale`: the provider no longer honours it. `known`: the seller has a live
 * account here. `waiting`: the provider was busy; run it again. `unreadable`: no key opens it, or no token is in it.
 * `failed`: something else; the log has the row's number.
 */
export type Counts = Record<
  "imported" | "stale" | "known" | "waiting" | "unreadable" | "failed" | "readable",
  number
>;

const workers = 4;

/**
 * Takes accounts over from another store. A refresh token has one owner: each is refreshed here at once, which proves
 * that it is ours and makes the copy in the source worthless. Can be stopped at any moment and run again: what was
 * taken over is in the database before the provider is asked, and is not read from the source again.
 * Failures: `source_refused`, `provider_unknown`, `provider_not_configured`, `provider_refuses_application`.
 */
export async function importAccounts(
  app: ImportDeps,
  wish: Wish,
  tell: (counts: Counts) => void = () => undefined,
): Promise<Counts> {
  const registration = registrationOf(app, wish.provider);
  const counts: Counts = {
    imported: 0,
    stale: 0,
    known: 0,
    waiting: 0,
    unreadable: 0,
    failed: 0,
    readable: 0,
  };
  for await (const page of wish.source.rows()) {
    const waiting = [...page];
    const work = async () => {
      for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
        counts[await importSafely(app, { ...wish, registration }, row)] += 1;
        tell(counts);
      }
    };
    // One that stops everything waits for the others, whose tokens may be at the provider.
    const ended = await Promise.allSettled(Array.from({ length: workers }, work));
    const stopped = ended.find((each) => each.status === "rejected");
    if (stopped !== undefined) throw stopped.reason;
  }
  return counts;
}

type ImportRow = Wish & { readonly registration: Registration };

/** What concerns everybody: the source, our registration, the database. */
const fatal = /^(source_|provider_refuses|provider_not|provider_unknown|database_|journal_)/;

/** One row that nobody can do anything with does not keep the others back. */
async function importSafely(
  app: ImportDeps,
  wish: ImportRow,
  row: SourceRow,
): Promise<keyof Counts> {
  try {
    return await importOne(app, wish, row);
  } catch (error) {
    const { code } = asFailure(error);
    if (fatal.test(code)) throw error;
    app.log.error("import_failed", { objectId: row.objectId, code, ...errorFields(error) });
    return "failed";
  }
}

async function importOne(app: ImportDeps, wish: ImportRow, row: SourceRow): Promise<keyof Counts> {
  const key = { source: wish.source.name, objectId: row.objectId };
  const before = await timely(importOf(app.db, key));
  if (wish.isDryRun) {
    if (before !== undefined && before.outcome !== "pending") return before.outcome;
    return readTokens(wish, row) === undefined ? "unreadable" : "readable";
  }
  const outcome =
    before === undefined ? await takeOver(app, wish, row) : await goOn(app, wish, before);
  if (outcome === "imported" && wish.deletesSource) await wish.source.remove(row.objectId);
  return outcome;
}

type Legacy = { readonly access: string; readonly refresh: string };

/** What the former system has sealed: a JSON object with the provider's tokens. */
function readTokens({ keys }: Wish, row: SourceRow): Legacy | undefined {
  const text = openFernet(row.tokens, keys);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) return undefined;
    const { access_token: access, refresh_token: refresh } = value;
    if (typeof access !== "string" || typeof refresh !== "string") return undefined;
    return { access, refresh };
  } catch {
    return undefined;
  }
}

async function takeOver(app: ImportDeps, wish: ImportRow, row: SourceRow): Promise<keyof Counts> {
  const tokens = readTokens(wish, row);
  if (tokens === undefined) return "unreadable";
  const key = { source: wish.source.name, objectId: row.objectId };
  const id = newId(app.now());
  const at = await timely(databaseNow(app.db));
  const { defaultAccessSeconds: accessSeconds } = wish.registration.provider.refresh;
  const isAdded = await timely(
    saveImported(app.db, key, {
      id,
      personId: newId(app.now()),
      provider: wish.provider,
      // Whoever wrote the source may claim to be anybody: who it is, the provider says.
      sellerId: placeholderFor(key),
      kind: "oauth",
      label: null,
      site: null,
      scope: row.scope ?? null,
      accessToken: app.seal.close(new Secret(tokens.access), placeOf(id, "accessToken")),
      refreshToken: app.seal.close(new Secret(tokens.refresh), placeOf(id, "refreshToken")),
      ...lifetimes({ at, jitter: app.random() }, { accessSeconds, refreshSeconds: undefined }),
    }),
  );
  if (!isAdded) return "waiting";
  return await prove(app, wish, { ...key, accountId: id });
}

function placeholderFor({ source, objectId }: Pick<Import, "source" | "objectId">): string {
  return `import:${hash("sha256", `${source} ${objectId}`, "hex").slice(0, 32)}`;
}

/** One that an earlier run has begun with. */
async function goOn(app: ImportDeps, wish: ImportRow, before: Import): Promise<keyof Counts> {
  if (before.outcome !== "pending") return before.outcome;
  return await prove(app, wish, before);
}

type Begun = Pick<Import, "source" | "objectId" | "accountId">;

/** Refreshes once, with the care of every refresh, and asks the provider whose account it is. */
async function prove(app: ImportDeps, wish: ImportRow, begun: Begun): Promise<keyof Counts> {
  const account =
    begun.accountId === null ? undefined : await timely(accountById(app.db, begun.accountId));
  const settle = async (outcome: "imported" | "stale" | "known") => {
    await timely(saveOutcome(app.db, begun, outcome));
    return outcome;
  };
  if (account === undefined || account.state === "reconnect_required") return await settle("stale");
  try {
    const held = openHeld(app, account);
    // A second run, after the first was stopped behind its refresh.
    const isOurs = account.generation > 1 && held.expiresAt > app.now().getTime();
    const renewed = isOurs ? held : await renew(app, held, { requestId: "import" });
    const { provider } = wish.registration;
    const identity = await identify(app, provider, { access: renewed.access, fields: undefined });
    const proven = { id: account.id, placeholder: placeholderFor(begun), identity };
    const saved = await timely(saveIdentity(app.db, proven));
    if (saved !== "known") return await settle("imported");
    return await settle((await handOver(app, wish.provider, proven)) ? "imported" : "known");
  } catch (error) {
    return await settleFailure(error, settle);
  }
}

async function settleFailure(
  error: unknown,
  settle: (outcome: "stale") => Promise<keyof Counts>,
): Promise<keyof Counts> {
  const failure = asFailure(error);
  if (failure.code === "reconnect_needed") return await settle("stale");
  const isTemporary = failure.meaning.http === 503 || failure.code === "identity_failed";
  if (isTemporary) return "waiting";
  throw error instanceof Failure ? error : failure;
}

/**
 * The seller has another live account. One that has to be connected again gets this credential, which has just proven
 * itself; a good one stays as it is. Either way this copy goes, and the provider is not told.
 */
async function handOver(
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
  await applyRevocations(app, id);
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
async function applyRevocations(app: App & RefreshDeps, id: string): Promise<void> {
  await timely(beginRevoking(app.db, id, app.now()));
  const account = await timely(accountById(app.db, id));
  if (account !== undefined) await timely(finishRevoking(app.db, account));
}
