import type { Log } from "./log.ts";
import { errorFields } from "./error-fields.ts";

/**
 * The last net: an error that nobody has caught is logged by its name and place, without its text, and the process
 * goes on; otherwise the runtime would print source code and end it. Returns how to take the net away.
 */
export function catchStray(log: Pick<Log, "error">): () => void {
  const note = (error: unknown) => log.error("uncaught", errorFields(error));
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  return () => {
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
  };
}
