import { policyIdNamed } from "#src/oauth-server/grants/store.ts";
import type { App } from "#src/app.ts";
import { isToolPattern } from "#src/upstreams/tool-rules.ts";
import { tagOf } from "#src/crypto/secret.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { plain } from "#src/telemetry/redact.ts";
import { prettyJson } from "../pretty-json.ts";
import { toolKey } from "./definitions.ts";
import {
  type Decision,
  type DefinitionRow,
  decideDefinitions,
  definitionsOf,
  removePolicy,
  savePolicy,
} from "./store.ts";

/** A definition that is held, beside what was approved before. */
export type Held = {
  readonly upstream: string;
  readonly name: string;
  readonly hash: string;
  /** `held on purpose`: somebody has looked at it and decided so. */
  readonly kind: "new" | "changed" | "held on purpose";
  readonly seenAt: Date;
  /** Lines of the definitions: `-` was approved, `+` is held, a blank stands in both. */
  readonly lines: readonly string[];
};

type Deps = Pick<App, "db" | "catalog" | "log" | "bindingKey">;
type Scope = {
  readonly upstream?: string | undefined;
  readonly name?: string | undefined;
  /** Of so many tools of each upstream. */
  readonly most?: number;
};

/**
 * Everything that waits for somebody to look at it; of one tool also what is held on purpose.
 * Failures: `usage` when there is no such upstream.
 */
export async function heldTools(
  app: Pick<App, "db" | "catalog">,
  scope: Scope,
): Promise<readonly Held[]> {
  const { upstream, name, most = 1_000_000 } = scope;
  if (upstream !== undefined) expectUpstream(app, upstream);
  const mostWaiting = name === undefined ? most : undefined;
  const rows = await timely(definitionsOf(app.db, { upstream, name, mostWaiting }));
  if (name !== undefined && rows.length === 0) {
    throw nothingOf({ upstream: upstream ?? "", name }, "known");
  }
  const byTool = Map.groupBy(rows, (row) => toolKey(row.upstream, row.name));
  return [...byTool.values()].flatMap((versions) => {
    const approved = versions.find(({ state }) => state === "approved");
    return versions
      .filter((each) => app.catalog.upstreams.has(each.upstream) && isShown(each, name))
      .map((each) => ({
        upstream: each.upstream,
        name: each.name,
        hash: each.hash,
        kind: kindOf(each, approved),
        seenAt: each.seenAt,
        lines: difference(linesOf(approved), linesOf(each)),
      }));
  });
}

function isShown({ state, decidedAt }: DefinitionRow, name: string | undefined): boolean {
  return state === "held" && (decidedAt === null || name !== undefined);
}

function kindOf(held: DefinitionRow, approved: DefinitionRow | undefined): Held["kind"] {
  if (held.decidedAt !== null) return "held on purpose";
  return approved === undefined ? "new" : "changed";
}

/** A code for exactly these definitions, in hex. Only this gateway can make one: none can stand in a definition. */
export function codeOf(
  { bindingKey }: Pick<App, "bindingKey">,
  held: readonly Pick<Held, "upstream" | "hash">[],
): string {
  const hashes = held.map(({ upstream, hash }) => `${upstream} ${hash}`).toSorted();
  const tag = tagOf(bindingKey, `seen:${hashes.join("\n")}`);
  return Buffer.from(tag, "base64url").toString("hex").slice(0, 40);
}

/** What somebody says about what they have seen: `seen` is the code of it. */
type Said = {
  readonly upstream: string;
  readonly name?: string | undefined;
  readonly seen: string | undefined;
  readonly by: string;
};

/**
 * Approves what somebody has looked at, on every gateway within two seconds: one definition of a tool, or everything
 * that waits at an upstream.
 * Failures: `usage` when nothing is held, or something else than what they saw.
 */
export async function approveTools(app: Deps, said: Said): Promise<readonly string[]> {
  const { upstream, name, seen, by } = said;
  const held = await heldTools(app, said);
  if (held.length === 0) throw nothingOf(said, "held");
  const offered = name === undefined ? [held] : held.map((each) => [each]);
  const meant = offered.find((each) => codeOf(app, each) === seen);
  if (meant === undefined) throw notSeen(said, "nothing was approved");
  const hashes = meant.map(({ hash }) => hash);
  const isWaiting = name === undefined;
  return await decideTools(app, { upstream, hashes, state: "approved", by, isWaiting });
}

/**
 * Holds a tool on purpose, on every gateway within two seconds: all its definitions, or the one that was seen.
 * Failures: `usage` when there is none.
 */
export async function holdTool(
  app: Deps,
  said: Said & { readonly name: string },
): Promise<readonly string[]> {
  const { upstream, name, seen, by } = said;
  expectUpstream(app, upstream);
  const rows = await timely(definitionsOf(app.db, { upstream, name }));
  const meant = rows.filter((row) => seen === undefined || codeOf(app, [row]) === seen);
  if (rows.length > 0 && meant.length === 0) throw notSeen(said, "nothing was held");
  const hashes = meant.map((row) => row.hash);
  if (hashes.length === 0) throw nothingOf(said, "known");
  await decideTools(app, { upstream, hashes, state: "held", by });
  return [name];
}

/** Decides about a definition that waits. Failures: `definition_decided` when it does not. */
export async function decideWaiting(
  app: Deps,
  decided: Pick<Held, "hash" | "upstream"> & Pick<Decision, "state" | "by">,
): Promise<void> {
  const { upstream, hash: digest, state, by } = decided;
  const decision = { upstream, hashes: [digest], state, by, isWaiting: true };
  if ((await decideTools(app, decision)).length === 0) throw new Failure("definition_decided");
}

async function decideTools(app: Deps, decision: Decision): Promise<readonly string[]> {
  const names = await timely(decideDefinitions(app.db, decision));
  const { upstream, state, by } = decision;
  const told = names.map(plain).slice(0, 50).join(" ");
  if (names.length > 0) app.log.warn("tools_decided", { upstream, state, by, names: told });
  return names;
}

function notSeen({ upstream, name, seen }: Said, what: string): Failure {
  const why = seen === undefined ? "--seen is missing" : "This is not what is held now";
  const look = name === undefined ? upstream : `${upstream} ${plain(name)}`;
  return new Failure("usage", `${why}: ${what}`, {
    hint: `smartdash tools diff ${look} shows what is held, each with its code for --seen`,
  });
}

function nothingOf(scope: Scope & { readonly upstream: string }, what: string): Failure {
  const tool = scope.name === undefined ? "No tool" : `No tool ${plain(scope.name)}`;
  return new Failure("usage", `${tool} of ${scope.upstream} is ${what}`, {
    hint: `smartdash tools list ${scope.upstream} says what there is`,
  });
}

/** Whom a policy is for: `agent:CLIENT_ID`, `grant:ID` or `session:ID`. Failures: `usage`. */
async function readPolicySubject({ db }: Pick<App, "db">, text: string): Promise<string> {
  const [kind, name = ""] = text.split(/:(.*)/s);
  const id = readId(name);
  if (kind === "agent" && name !== "") return text;
  if (kind === "session" && id !== undefined) return text;
  if (kind === "grant" && id !== undefined) {
    return `grant:${(await timely(policyIdNamed(db, id))) ?? id}`;
  }
  throw new Failure("usage", `${text} cannot have a policy`, {
    hint: "Name agent:CLIENT_ID, grant:ID or session:ID",
  });
}

/** Replaces the policy of an agent or a permission; returns whose it is. Failures: `usage`, also for what is no pattern. */
export async function setPolicy(
  app: Pick<App, "db" | "log">,
  subject: string,
  policy: {
    readonly allow: readonly string[] | null;
    readonly deny: readonly string[];
    readonly approve: readonly string[];
  },
): Promise<string> {
  const { allow, deny, approve } = policy;
  const all: readonly string[] = [...(allow ?? []), ...deny, ...approve];
  const wrong = all.filter((each) => !isToolPattern(each));
  if (wrong.length > 0) {
    throw new Failure("usage", `${wrong.join(", ")} is no pattern of tools`, {
      hint: "A name, a glob such as list_*, @read-only, @writing or @destructive",
    });
  }
  const whose = await readPolicySubject(app, subject);
  await timely(savePolicy(app.db, whose, policy));
  app.log.warn("tool_policy_set", { subject: whose });
  return whose;
}

/**
 * Lets an agent or a permission use everything that its upstream's rules allow; returns whose policy it was, undefined
 * when there was none. Failures: `usage`.
 */
export async function dropPolicy(
  app: Pick<App, "db" | "log">,
  subject: string,
): Promise<string | undefined> {
  const whose = await readPolicySubject(app, subject);
  if (!(await timely(removePolicy(app.db, whose)))) return undefined;
  app.log.warn("tool_policy_removed", { subject: whose });
  return whose;
}

/** Failures: `usage` when there is none of the name. */
export function expectUpstream({ catalog }: Pick<App, "catalog">, upstream: string): void {
  if (catalog.upstreams.has(upstream)) return;
  throw new Failure("usage", `Unknown upstream: ${upstream}`, {
    hint: `There are ${[...catalog.upstreams.keys()].join(", ")}`,
  });
}

function linesOf(row: DefinitionRow | undefined): readonly string[] {
  return row === undefined ? [] : prettyJson(row.definition).split("\n");
}

/** Short enough for a terminal: a text that its writer filled up with blanks must not seem to begin a line. */
function folded(line: string): readonly string[] {
  const indent = /^ */.exec(line)?.[0] ?? "";
  const text = line
    .slice(indent.length)
    .replace(/ {4,}/g, (blanks) => String.raw`\u{20}×${blanks.length}`);
  const parts = text.match(/.{1,70}/gsu) ?? [""];
  return parts.map((part, at) => (at === 0 ? indent + part : `${indent}… ${part}`));
}

/** What begins and ends alike stays; what is between was taken out and put in. */
function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const middle = (lines: readonly string[]) => lines.slice(head, lines.length - tail);
  const marked = (mark: string, lines: readonly string[]) =>
    lines.flatMap((line) => folded(line).map((part) => `${mark} ${part}`));
  return [
    ...marked(" ", before.slice(0, head)),
    ...marked("-", middle(before)),
    ...marked("+", middle(after)),
    ...marked(" ", after.slice(after.length - tail)),
  ];
}
