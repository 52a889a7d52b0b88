import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "#src/failure.ts";
import { timely, within } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { newId } from "#src/crypto/ids.ts";
import { freeSlots } from "../circuit-breaker/store.ts";
import { saveRefreshEvent, accountById } from "../store.ts";
import type { Version } from "../journal/answers.ts";
import type { Answer } from "../journal/journal.ts";
import { commitAnswer } from "../refresh/commit.ts";
import type { RefreshDeps } from "../refresh/deps.ts";
import {
  claimAttempt,
  endClaim,
  freeLeases,
  knownAccounts,
  markRestored,
  markUnanswered,
  openAttempts,
  withdrawAttempt,
} from "./store.ts";

type Deps = Pick<
  RefreshDeps,
  | "db"
  | "journal"
  | "log"
  | "atStep"
  | "credentials"
  | "now"
  | "random"
  | "singleFlight"
  | "replica"
>;

type Recovery = { stop(): Promise<void> };

const lookMs = 1000;
/** How often this process looks for what others left behind, in looks. */
const looksPerScan = 15;
const atStartMs = 15_000;

/**
 * Before anything is served: answers that an earlier process wrote down go into their rows, accounts of a
 * database that was restored from a backup are found, open attempts are judged. Failures: none; what the
 * database does not take now is tried again every second.
 */
export async function recoverAtStart(app: Deps): Promise<void> {
  try {
    const late = () => new Failure("database_unavailable");
    await within(atStartMs, recoverAll(app), late);
  } catch (error) {
    app.log.warn("recovery_failed", errorFields(error));
  }
}

async function recoverAll(app: Deps): Promise<void> {
  await recoverLeftBehind(app);
  await findRestored(app);
}

/** Goes on with that beside the calls, for this process and for others that share its journal and died. */
export function startRecovery(app: Deps): Recovery {
  const stopping = new AbortController();
  const running = lookOn(app, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await running;
      await storeWaiting(app);
      app.journal.holders.leave();
    },
  };
}

async function lookOn(app: Deps, stopping: AbortSignal): Promise<void> {
  for (let look = 1; !stopping.aborted; look++) {
    const pause = { signal: stopping, ref: false };
    await sleep(lookMs * (0.75 + app.random() / 2), undefined, pause).catch(() => undefined);
    if (stopping.aborted) return;
    await storeWaiting(app);
    if (look % looksPerScan !== 0) continue;
    await recoverNow(app);
  }
}

/** For whoever waits for a process that may be gone. Never rejects. */
export function recoverNow(app: Deps): Promise<void> {
  return app.singleFlight("recovery", () =>
    recoverLeftBehind(app).then(
      () => app.log.over("recovery_failed"),
      (error: unknown) => app.log.lasting("recovery_failed", errorFields(error)),
    ),
  );
}

/** Answers that arrived while the database was away. Never rejects. */
async function storeWaiting(app: Deps): Promise<void> {
  await Promise.all([...app.journal.unstored.values()].map((answer) => storeOne(app, answer)));
}

async function storeOne(app: Deps, answer: Answer): Promise<void> {
  if ((await commitAnswer(app, answer)) === "later") return;
  app.credentials.forget(answer.id);
  app.log.info("refresh_stored", { accountId: answer.id, generation: answer.generation + 1 });
}

async function recoverLeftBehind(app: Deps): Promise<void> {
  const gone = app.journal.holders.gone();
  if (gone.length > 0) {
    await timely(freeLeases(app.db, gone));
    await timely(freeSlots(app.db, gone));
  }
  for (const version of await app.journal.versions()) await replay(app, version);
  for (const version of await timely(openAttempts(app.db, app.journal.id))) {
    await judge(app, version);
  }
}

/** An answer of a process that is gone, or of one that is about to store it itself: both end the same. */
async function replay(app: Deps, version: Version): Promise<void> {
  if (app.journal.unstored.has(version.id)) return;
  const answer = await app.journal.read(version).catch(() => undefined);
  if (answer === undefined) return;
  if (answer === "reserved") return await dropIfOver(app, version);
  const stored = await commitAnswer(app, answer);
  if (stored === "later") return;
  app.credentials.forget(version.id);
  const facts = { accountId: version.id, generation: version.generation };
  if (stored === "old") return app.log.info("journal_answer_old", facts);
  app.log.warn("refresh_recovered", facts);
  const event = { id: newId(app.now()), event: "refresh_recovered" as const, ...facts };
  await timely(saveRefreshEvent(app.db, { ...event, requestId: "recovery" })).catch(
    (error: unknown) => app.log.lasting("refresh_event_lost", errorFields(error)),
  );
}

/** Room that was made for an answer which another gateway has got meanwhile. */
async function dropIfOver(app: Deps, version: Version): Promise<void> {
  const account = await timely(accountById(app.db, version.id));
  const isOver = account?.state === "revoked" || (account?.generation ?? 0) > version.generation;
  if (isOver) await app.journal.drop(version);
}

/**
 * What an open attempt without an answer means: room in the journal is made right before the provider is asked.
 * Nobody else can ask meanwhile, so what is dropped here is nobody's answer.
 */
async function judge(app: Deps, version: Version): Promise<void> {
  const claim = { holder: app.replica, journal: app.journal.id };
  if (!(await timely(claimAttempt(app.db, version, claim)))) return;
  const left = await app.journal.read(version);
  if (left === undefined) return await timely(withdrawAttempt(app.db, version, app.replica));
  if (left !== "reserved") return await replay(app, version);
  await timely(markUnanswered(app.db, version, app.replica));
  await app.journal.drop(version);
  await timely(endClaim(app.db, version, app.replica));
  app.credentials.forget(version.id);
  app.log.error("refresh_unanswered", { accountId: version.id, generation: version.generation });
}

const marksAtOnce = 5000;
const forgetMarksMs = 90 * 86_400_000;

/** A database that holds an older generation than this journal has seen stored was restored from a backup. */
async function findRestored(app: Deps): Promise<void> {
  const marks = app.journal.marks.all();
  let restored = 0;
  for (let at = 0; at < marks.length; at += marksAtOnce) {
    const some = marks.slice(at, at + marksAtOnce);
    const found = await timely(markRestored(app.db, some));
    for (const accountId of found) app.log.error("account_restored", { accountId });
    restored += found.length;
    await forgetUnknown(app, some);
  }
  if (restored > 0) app.log.error("database_restored", { accounts: restored });
}

async function forgetUnknown(app: Deps, marks: readonly Version[]): Promise<void> {
  const known = await timely(
    knownAccounts(
      app.db,
      marks.map(({ id }) => id),
    ),
  );
  const before = new Date(app.now().getTime() - forgetMarksMs);
  for (const { id } of marks) {
    if (!known.has(id)) await app.journal.marks.forgetOld(id, before);
  }
}
