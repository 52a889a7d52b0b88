import { Failure } from "#src/failure.ts";
import { within } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { Answer } from "../journal/journal.ts";
import { type ReadAccount, accountById } from "../store.ts";
import type { RefreshDeps } from "./deps.ts";
import { saveRefreshed } from "./store.ts";

type Deps = Pick<RefreshDeps, "db" | "journal" | "log" | "atStep" | "singleFlight">;

/** A call waits for this; what takes longer is done behind it. */
const storeMs = 2000;

/**
 * Brings an answer from the journal into the row, and then out of the journal. Safe to repeat and to do
 * twice at once: an older generation never replaces a newer one.
 * The row; `old` when a newer generation is there; `later` when the database does not take it now.
 */
export async function commitAnswer(
  app: Deps,
  answer: Answer,
): Promise<ReadAccount | "old" | "later"> {
  const { id, generation } = answer;
  app.journal.unstored.set(id, answer);
  let stored: ReadAccount | "old" | "unknown";
  try {
    const late = () => new Failure("database_unavailable");
    // A statement that hangs is waited for, not joined by another one.
    const storing = app.singleFlight(`store ${id} ${generation}`, () => store(app, answer));
    stored = await within(storeMs, storing, late);
  } catch (error) {
    app.log.warn("refresh_not_stored_yet", { accountId: id, ...errorFields(error) });
    return "later";
  }
  if (stored !== "unknown") await app.atStep("stored");
  if (app.journal.unstored.get(id)?.generation === generation) app.journal.unstored.delete(id);
  // Its row may still be on its way back: a database that is being restored, or the wrong one.
  if (stored === "unknown") return "old";
  await leaveJournal(app, answer, stored === "old" ? generation + 1 : stored.generation);
  return stored;
}

async function store(app: Deps, answer: Answer): Promise<ReadAccount | "old" | "unknown"> {
  const { id, generation, credential } = answer;
  const stored = await saveRefreshed(app.db, { id, generation }, credential);
  if (stored !== undefined) return stored;
  return (await accountById(app.db, id)) === undefined ? "unknown" : "old";
}

async function leaveJournal(app: Deps, { id, generation }: Answer, known: number) {
  try {
    await app.journal.marks.mark({ id, generation: known });
    await app.atStep("marked");
    await app.journal.drop({ id, generation });
    await app.atStep("forgotten");
  } catch (error) {
    // It stays in the journal and is found to be old later.
    app.log.warn("journal_not_cleared", { accountId: id, ...errorFields(error) });
  }
}
