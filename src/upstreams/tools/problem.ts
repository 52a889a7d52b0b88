/** What went wrong, for a model that may react to it. Codes are stable; docs/tools.md lists them. */
export type ProblemCode =
  | "app_blocked"
  | "conflict"
  | "duplicate"
  | "forbidden"
  | "invalid_argument"
  | "not_applied"
  | "not_found"
  | "outcome_unknown"
  | "rate_limited"
  | "rejected"
  | "upstream_down"
  | "value_changed";

type About = {
  readonly httpStatus?: number;
  readonly field?: string;
  readonly nextStep?: string;
  /** What the API says of it. */
  readonly untrustedText?: string;
  /** What is there now, where that is what matters. */
  readonly current?: unknown;
};

export class ToolProblem extends Error {
  readonly code: ProblemCode;
  readonly about: About;

  constructor(code: ProblemCode, message: string, about: About = {}) {
    super(message);
    this.code = code;
    this.about = about;
  }
}

/** It was sent, and nobody knows what came of it. */
export function unknownOutcome(): ToolProblem {
  return new ToolProblem(
    "outcome_unknown",
    "It was sent, and no answer came: it may have been done",
    { nextStep: "Read the thing again before anything else. Do not send it again by yourself." },
  );
}
