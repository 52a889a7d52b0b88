import { ToolProblem } from "../tools/problem.ts";
import { cut } from "../tools/tool.ts";
import { at, compact, list, text } from "./fields.ts";

/*
 * What every tool that changes something does: it compares with what the person saw, and reads again what it has
 * written.
 */

/** What the person saw has to be there still. Failures: `value_changed`. */
export function expectSame(field: string, expected: unknown, current: unknown): void {
  if (expected === current) return;
  throw new ToolProblem("value_changed", "It is not what the person saw any more", {
    field,
    current: current ?? null,
    nextStep: `Show the person the present value, and call again with it as ${field}.`,
  });
}

export function notApplied(current: unknown, warnings: readonly unknown[] = []): ToolProblem {
  const words = warnings.flatMap((each) => text(at(each, "message")) ?? []);
  const said = words.length === 0 ? "" : `: ${words.join("; ").slice(0, 300)}`;
  return new ToolProblem(
    "not_applied",
    `Mercado Libre accepted the request and changed nothing${said}`,
    { current: current ?? null },
  );
}

/** What a change came to, read back. A 200 that changed nothing is an error. Failures: `not_applied`. */
export function applied(change: {
  readonly before: unknown;
  readonly wanted: unknown;
  readonly after: unknown;
  readonly answer: unknown;
  readonly more?: Readonly<Record<string, unknown>>;
}): Readonly<Record<string, unknown>> {
  const { before, wanted, after, answer, more = {} } = change;
  const warnings = list(at(answer, "warnings"));
  if (after !== wanted) throw notApplied(after, warnings);
  const words = warnings.map((each) => cut(at(each, "message"), 300));
  return compact({ before, after, applied: true, warnings: words, ...more });
}

/** What is there after a change. Failures: `outcome_unknown` where that cannot be read: the change was sent. */
export async function readBack<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch {
    // Also where the credential has just ended: the whole call must not be made again for that.
    throw new ToolProblem("outcome_unknown", "It was sent; what came of it could not be read", {
      nextStep: "Read it again in a moment. Do not send it again by yourself.",
    });
  }
}
