import type { App } from "#src/app.ts";
import { asFailure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import { endOperatorAction, saveOperatorAction } from "./console-store.ts";

/** Writes down what is about to be done: what cannot be written down is not done. */
export type Note = (action: string, about: string) => Promise<void>;

/** Does what an operator has asked for on a page, and writes down how it ended; what it did stays done. */
export async function noting<T>(
  app: Pick<App, "db" | "log" | "now">,
  asked: { readonly actor: string; readonly path: string },
  act: (note: Note) => Promise<T>,
): Promise<T> {
  const noted: { readonly id: string; readonly action: string; readonly about: string }[] = [];
  const note: Note = async (action, given) => {
    const about = plain(given).slice(0, 200);
    const written = { actor: asked.actor, action, about };
    const id = await timely(saveOperatorAction(app.db, written, app.now()));
    noted.push({ id, action, about });
  };
  const ended = async (outcome: string) => {
    for (const { id, action, about } of noted) {
      app.log.info("console_changed", { ...asked, action, about, outcome });
      await timely(endOperatorAction(app.db, id, outcome)).catch((error: unknown) =>
        app.log.warn("console_outcome_not_stored", errorFields(error)),
      );
    }
  };
  let done: T;
  try {
    done = await act(note);
  } catch (error) {
    await ended(asFailure(error).code);
    throw error;
  }
  await ended("done");
  return done;
}
