import type { Chapter } from "./chapters.ts";
import { type Finding, skipped } from "./finding.ts";

/** One part of the checklist. `what` and `code` stand for it where it is not executed. */
export type Part<T> = {
  readonly chapter: Chapter;
  readonly code: string;
  readonly what: string;
  readonly look: (what: T) => readonly Finding[] | Promise<readonly Finding[]>;
};

type Named = Omit<Part<never>, "look">;

/** Nothing that was not executed disappears: each part of it is counted, with the reason. */
export function notExecuted(parts: readonly Named[], why: string): readonly Finding[] {
  return parts.map(({ chapter, code, what }) => skipped(chapter, code, `${what}: ${why}`));
}
