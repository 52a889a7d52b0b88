import { type Chapter, type ProblemCode, problems } from "./rules.ts";

/** One thing that was looked at. `code` is stable; one that is not `pass` has a heading in docs/checks.md. */
export type CheckResult = {
  readonly chapter: Chapter;
  readonly code: string;
  /** `skipped`: nothing is known about it, and why. */
  readonly status: "pass" | "warn" | "fail" | "skipped";
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
};

export function pass(chapter: Chapter, code: string, message: string): CheckResult {
  return { chapter, code, status: "pass", message };
}

export function skipped(chapter: Chapter, code: string, message: string): CheckResult {
  return { chapter, code, status: "skipped", message };
}

/** What was found wrong; how bad it is and what to do stand in the table. */
export function problem(code: ProblemCode, message: string): CheckResult {
  const { chapter, status, remedy } = problems[code];
  return { chapter, code, status, message, hint: remedy };
}

/** One part of the checklist. `what` and `code` stand for it where it is not executed. */
export type Part<T> = {
  readonly chapter: Chapter;
  readonly code: string;
  readonly what: string;
  readonly look: (what: T) => readonly CheckResult[] | Promise<readonly CheckResult[]>;
};

type Named = Omit<Part<never>, "look">;

/** Nothing that was not executed disappears: each part of it is counted, with the reason. */
export function notExecuted(parts: readonly Named[], why: string): readonly CheckResult[] {
  return parts.map(({ chapter, code, what }) => skipped(chapter, code, `${what}: ${why}`));
}
