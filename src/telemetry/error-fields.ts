import { codeOf } from "#src/failure.ts";
import type { Fields, Log } from "./log.ts";

/**
 * What may be logged of an unexpected error: its name, its code and where it happened.
 * Never its text: a database driver puts parameters there.
 */
export function errorFields(error: unknown): Fields {
  if (!(error instanceof Error)) return { error: typeof error };
  const frames = (error.stack ?? "").split("\n").filter((frame) => frame.trim().startsWith("at "));
  return { error: error.name, code: codeOf(error), where: frames.slice(0, 4).join(" | ").trim() };
}

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
