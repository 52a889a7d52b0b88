import { hash } from "node:crypto";
import type { App } from "#src/app.ts";
import { isToolPattern } from "#src/catalog/tool-rules.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { laidOut } from "../plain.ts";
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

type Reviewing = Pick<App, "db" | "catalog" | "log">;
type Scope = { readonly upstream?: string | undefined; readonly name?: string | undefined };

/**
 * Everything that waits for somebody to look at it; of one tool, when nothing waits, what is held on purpose.
 * Failures: `usage` when there is no such upstream.
 */
export async function heldTools(
  app: Pick<App, "db" | "catalog">,
  scope: Scope,
): Promise<readonly Difference[]> {
  const { upstream, name } = scope;
  if (upstream !== undefined) expectUpstream(app, upstream);
  const rows = await timely(definitionsOf(app.db, scope));
  const byTool = Map.groupBy(rows, ({ upstream: at, name: tool }) => `${at}/${tool}`);
  return [...byTool.values()].flatMap((versions) => {
    const approved = versions.find(({ state }) => state === "approved");
    const held = versions.filter(({ state }) => state === "held");
    const waiting = held.filter(({ decidedAt }) => decidedAt === null);
    return (waiting.length === 0 && name !== undefined ? held : waiting).map((each) => ({
      upstream: each.upstream,
      name: each.name,
      hash: each.hash,
      kind: approved === undefined ? ("new" as const) : ("changed" as const),
      seenAt: each.seenAt,
      lines: difference(linesOf(approved), linesOf(each)),
    }));
  });
}

/**
 * A code for exactly these definitions. 40 hex characters of SHA-256: an upstream that prepares a harmless
 * definition and a harmful one cannot give both the same code.
 */
export function codeOf(held: readonly Pick<Difference, "hash">[]): string {
  const hashes = held.map(({ hash: each }) => each).toSorted();
  return hash("sha256", hashes.join("\n"), "hex").slice(0, 40);
}

/**
 * Approves what somebody has looked at, on every gateway within two seconds. `seen` is the code of what they saw.
 * Failures: `usage` when nothing is held, or when something else is held by now.
 */
export async function approveTools(
  app: Reviewing,
  approved: {
    readonly upstream: string;
    readonly name: string | undefined;
    readonly seen: string | undefined;
    readonly by: string;
  },
): Promise<readonly string[]> {
  const { upstream, name, seen, by } = approved;
  const held = await heldTools(app, { upstream, name });
  const look = `smartdash tools diff ${upstream}${name === undefined ? "" : ` ${name}`}`;
  if (held.length === 0) throw nothingOf(approved, "held");
  if (seen !== codeOf(held)) {
    const why = seen === undefined ? "--seen is missing" : "This is not what is held now";
    throw new Failure("usage", `${why}: nothing was approved`, {
      hint: `${look} shows what is held, and prints the command that approves exactly that`,
    });
  }
  return await decideTools(app, {
    upstream,
    hashes: held.map(({ hash: each }) => each),
    state: "approved",
    by,
  });
}

/**
 * Holds every definition of a tool on purpose, on every gateway within two seconds.
 * Failures: `usage` when there is none, or all are held on purpose already.
 */
export async function holdTool(
  app: Reviewing,
  held: { readonly upstream: string; readonly name: string; readonly by: string },
): Promise<readonly string[]> {
  const { upstream, name, by } = held;
  expectUpstream(app, upstream);
  const hashes = (await timely(definitionsOf(app.db, { upstream, name }))).map((row) => row.hash);
  const names = await decideTools(app, { upstream, hashes, state: "held", by });
  if (names.length === 0) throw nothingOf(held, "to be held");
  return names;
}

/** Writes down what was decided, and logs it. Returns the names of the tools. */
export async function decideTools(
  app: Pick<App, "db" | "log">,
  decided: Decision,
): Promise<readonly string[]> {
  const names = await timely(decideDefinitions(app.db, decided));
  const { upstream, state, by } = decided;
  app.log.warn("tools_decided", { upstream, state, by, names: names.slice(0, 50).join(" ") });
  return names;
}

function nothingOf(scope: Scope & { readonly upstream: string }, what: string): Failure {
  const tool = scope.name === undefined ? "no tool" : `no tool ${scope.name}`;
  return new Failure("usage", `${tool} of ${scope.upstream} is ${what}`, {
    hint: `smartdash tools list ${scope.upstream} says what there is`,
  });
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
  return row === undefined ? [] : laidOut(row.definition).split("\n");
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
