import { codeOf } from "#src/failure.ts";
import type { Fields } from "./log.ts";

/**
 * What may be logged of an unexpected error: its name, its code and where it happened.
 * Never its text: a database driver puts parameters there.
 */
export function errorFields(error: unknown): Fields {
  if (!(error instanceof Error)) return { error: typeof error };
  const frames = (error.stack ?? "").split("\n").filter((frame) => frame.trim().startsWith("at "));
  return { error: error.name, code: codeOf(error), where: frames.slice(0, 4).join(" | ").trim() };
}
