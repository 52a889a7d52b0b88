import type { App } from "#src/app.ts";
import { isToolPattern } from "#src/catalog/tool-rules.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import {
  type Decision,
  type DefinitionRow,
  decideDefinitions,
  definitionsOf,
  savePolicy,
} from "./store.ts";

/** What is held of one tool, beside what was approved before. */
export type Difference = {
  readonly upstream: string;
  readonly name: string;
  readonly hash: string;
  readonly kind: "new" | "changed";
  readonly seenAt: Date;
  /** Lines of the definitions: `-` was approved, `+` is held, a blank stands in both. */
  readonly lines: readonly string[];
};

/** Everything that waits for somebody to look at it. Failures: `usage` when there is no such upstream. */
export async function heldTools(
  app: Pick<App, "db" | "catalog">,
  upstream: string | undefined,
): Promise<readonly Difference[]> {
  if (upstream !== undefined) expectUpstream(app, upstream);
  const rows = await timely(definitionsOf(app.db, { upstream }));
  const byTool = Map.groupBy(rows, ({ upstream: at, name }) => `${at}/${name}`);
  return [...byTool.values()].flatMap((versions) => {
    const approved = versions.find(({ state }) => state === "approved");
    return versions
      .filter(({ state }) => state === "held")
      .map((held) => ({
        upstream: held.upstream,
        name: held.name,
        hash: held.hash,
        kind: approved === undefined ? ("new" as const) : ("changed" as const),
        seenAt: held.seenAt,
        lines: difference(linesOf(approved), linesOf(held)),
      }));
  });
}

/**
 * Approves what is held, or holds what is approved, on every gateway within two seconds.
 * Failures: `usage` when there is nothing of the kind.
 */
export async function decideTools(
  app: Pick<App, "db" | "catalog" | "log">,
  decided: Decision,
): Promise<readonly string[]> {
  expectUpstream(app, decided.upstream);
  const names = await timely(decideDefinitions(app.db, decided));
  if (names.length === 0) {
    const what = decided.name === undefined ? "no tool" : `no tool ${decided.name}`;
    const state = decided.state === "approved" ? "held" : "approved";
    throw new Failure("usage", `${what} of ${decided.upstream} is ${state}`, {
      hint: `smartdash tools list ${decided.upstream} says what there is`,
    });
  }
  const { upstream, state, by } = decided;
  app.log.warn("tools_decided", { upstream, state, by, names: names.slice(0, 50).join(" ") });
  return names;
}

/** Whom a policy is for: `agent:CLIENT_ID`, `grant:ID` or `session:ID`. Failures: `usage`. */
export function readPolicySubject(text: string): string {
  const [kind, name = ""] = text.split(/:(.*)/s);
  const isRight =
    (kind === "agent" && name !== "") ||
    ((kind === "grant" || kind === "session") && readId(name) !== undefined);
  if (isRight) return text;
  throw new Failure("usage", `${text} cannot have a policy`, {
    hint: "Name agent:CLIENT_ID, grant:ID or session:ID",
  });
}

/** Failures: `usage` for what is no pattern. */
export async function setPolicy(
  app: Pick<App, "db" | "log">,
  subject: string,
  policy: {
    readonly allow: readonly string[] | null;
    readonly deny: readonly string[];
    readonly approve: readonly string[];
  },
): Promise<void> {
  const { allow, deny, approve } = policy;
  const all: readonly string[] = [...(allow ?? []), ...deny, ...approve];
  const wrong = all.filter((each) => !isToolPattern(each));
  if (wrong.length > 0) {
    throw new Failure("usage", `${wrong.join(", ")} is no pattern of tools`, {
      hint: "A name, a glob such as list_*, @read-only, @writing or @destructive",
    });
  }
  await timely(savePolicy(app.db, readPolicySubject(subject), policy));
  app.log.warn("tool_policy_set", { subject });
}

function expectUpstream({ catalog }: Pick<App, "catalog">, upstream: string): void {
  if (catalog.upstreams.has(upstream)) return;
  throw new Failure("usage", `There is no upstream ${upstream}`, {
    hint: `There are ${[...catalog.upstreams.keys()].join(", ")}`,
  });
}

function linesOf(row: DefinitionRow | undefined): readonly string[] {
  return row === undefined ? [] : JSON.stringify(JSON.parse(row.definition), null, 2).split("\n");
}

/** What begins and ends alike stays; what is between was taken out and put in. */
function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const middle = (lines: readonly string[]) => lines.slice(head, lines.length - tail);
  return [
    ...before.slice(0, head).map((line) => `  ${line}`),
    ...middle(before).map((line) => `- ${line}`),
    ...middle(after).map((line) => `+ ${line}`),
    ...after.slice(after.length - tail).map((line) => `  ${line}`),
  ];
}
