import { within } from "#src/once.ts";
import { Failure } from "#src/failure.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import type { Answer } from "../journal/journal.ts";
import type { ReadAccount } from "../store.ts";
import type { Refreshing } from "./refreshing.ts";
import { saveRefreshed } from "./store.ts";

/** A call waits for this; what takes longer is done behind it. */
const storeMs = 2000;

/**
 * Brings an answer from the journal into the row, and then out of the journal. Safe to repeat and to do
 * twice at once: an older generation never replaces a newer one.
 * The row; undefined when a newer generation is there; `later` when the database does not take it now.
 */
export async function keepAnswer(
  app: Pick<Refreshing, "db" | "journal" | "log" | "atStep">,
  answer: Answer,
): Promise<ReadAccount | undefined | "later"> {
  const { id, generation, credential } = answer;
  app.journal.unstored.set(id, answer);
  let stored: ReadAccount | undefined;
  try {
    const late = () => new Failure("database_unavailable");
    stored = await within(storeMs, saveRefreshed(app.db, { id, generation }, credential), late);
  } catch (error) {
    app.log.warn("refresh_not_stored_yet", { accountId: id, ...troubleOf(error) });
    return "later";
  }
  await app.atStep("stored");
  if (app.journal.unstored.get(id)?.generation === generation) app.journal.unstored.delete(id);
  try {
    await app.journal.marks.mark({ id, generation: stored?.generation ?? generation + 1 });
    await app.atStep("marked");
    await app.journal.drop({ id, generation });
    await app.atStep("forgotten");
  } catch (error) {
    // It stays in the journal and is found to be old later.
    app.log.warn("journal_not_cleared", { accountId: id, ...troubleOf(error) });
  }
  return stored;
}
