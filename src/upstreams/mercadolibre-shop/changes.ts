import { ToolProblem } from "../tools/problem.ts";
import { vendorText } from "../tools/vendor-text.ts";
import { at, compact, list, text } from "./fields.ts";

/*
 * What every tool that changes something does: it compares with what the person saw, and reads again what it has
 * written.
 */

/** What the person saw has to be there still. Failures: `value_changed`. */
export function expectSame(field: string, expected: unknown, current: unknown): void {
  if (isSame(expected, current)) return;
  throw new ToolProblem("value_changed", "It is not what the person saw any more", {
    field,
    current: current ?? null,
    nextStep: `Show the person the present value, and call again with it as ${field}.`,
  });
}

/** Amounts may come back with other decimals. */
export function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "number" || typeof other !== "number") return one === other;
  return Math.abs(one - other) < 0.01;
}

/** @param isChanged It is neither what it was nor what was asked for. */
export function notApplied(
  current: unknown,
  { answer, isChanged = false }: { readonly answer?: unknown; readonly isChanged?: boolean } = {},
): ToolProblem {
  const words = warningsIn(answer).join("; ");
  const what = isChanged ? "changed it to something else" : "changed nothing";
  return new ToolProblem("not_applied", `Mercado Libre accepted the request and ${what}`, {
    current: current ?? null,
    ...(words === "" ? {} : { untrustedText: words }),
  });
}

const [mostWarnings, longestWarning] = [10, 300];

/** What Mercado Libre says beside an answer: a stranger's text. */
function warningsIn(answer: unknown): readonly string[] {
  const words = list(at(answer, "warnings")).flatMap((each) => text(at(each, "message")) ?? []);
  return words.slice(0, mostWarnings).map((each) => vendorText(each, longestWarning));
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
  if (!isSame(after, wanted)) {
    throw notApplied(after, { answer, isChanged: !isSame(after, before) });
  }
  const words = warningsIn(answer);
  return {
    before: before ?? null,
    after: after ?? null,
    applied: true,
    warnings: words.length === 0 ? [] : [{ untrusted_text: words.join("; ") }],
    ...compact(more),
  };
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
