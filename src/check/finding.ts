import type { Chapter } from "./chapters.ts";
import { type ProblemCode, problems } from "./problems.ts";

/** One thing that was looked at. `code` is stable; one that is not `pass` has a heading in docs/checks.md. */
export type Finding = {
  readonly chapter: Chapter;
  readonly code: string;
  /** `skipped`: nothing is known about it, and why. */
  readonly status: "pass" | "warn" | "fail" | "skipped";
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
};

export function pass(chapter: Chapter, code: string, message: string): Finding {
  return { chapter, code, status: "pass", message };
}

export function skipped(chapter: Chapter, code: string, message: string): Finding {
  return { chapter, code, status: "skipped", message };
}

/** What was found wrong; how bad it is and what to do stand in the table. */
export function problem(code: ProblemCode, message: string): Finding {
  const { chapter, status, remedy } = problems[code];
  return { chapter, code, status, message, hint: remedy };
}
