import type { Topic } from "#db/topics.ts";
import { hash } from "node:crypto";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { isObject, canonicalJson } from "#src/json.ts";
import { timely } from "#src/clock.ts";
import { type ReplicatedTable, createReplicatedTable } from "../replicated-table.ts";
import { type Nature, natures } from "./patterns.ts";
import { allDefinitions, listedUpstreams, saveDefinitions } from "./store.ts";

type Definition = Readonly<Record<string, unknown>>;

/** What is known about one tool. */
export type KnownTool = {
  /** Undefined when no list has shown it. */
  readonly nature: Nature | undefined;
  /**
   * `held`: its definition waits for the operator. `held on purpose`: the operator has decided so. `unseen`: the
   * upstream's list was seen to its end without it.
   */
  readonly state: "usable" | "held" | "held on purpose" | "unseen";
  /** The upstream's list has been seen to its end, or for an hour. */
  readonly isListed: boolean;
};

/** Where in an upstream's list something was shown. */
export type ListPage = {
  /** What was asked for: undefined for the beginning, `unknown` where nobody knows. */
  readonly from: { readonly cursor: string | undefined } | "unknown";
  /** Undefined when no page follows. */
  readonly next: string | undefined;
};

/** The definitions of tools that upstreams have shown, as this process knows them. */
export type Definitions = Pick<ReplicatedTable, "load" | "stop"> & {
  /** Another number once something of them has changed. */
  readonly version: number;
  /** What decides is the definition that was seen last. */
  find(upstream: Upstream, name: string): KnownTool;
  /**
   * Which of these definitions agents may see; what is new among them is written down first.
   * Failures: `database_unavailable`: what nobody could compare is not shown.
   */
  judge(
    upstream: Upstream,
    shown: readonly Definition[],
    page: ListPage,
  ): Promise<readonly boolean[]>;
  /** Reads them when they were changed elsewhere. Failures: `database_unavailable`. */
  hear(topics: readonly Topic[]): Promise<void>;
};

type Known = {
  /** The one that was seen last first. */
  readonly versions: readonly Version[];
  /** Of the approved versions together. */
  readonly approved: Nature;
  /** Of all versions together: where none is held back, any of them may be the one that runs. */
  readonly any: Nature;
};

type Version = {
  readonly hash: string;
  readonly state: "approved" | "held";
  /** Somebody has decided it; what is held without that only waits. */
  readonly isDecided: boolean;
};

/** Where nothing that waits is held back, what was held on purpose is all the same. */
function isUsable(version: Version | undefined, holds: boolean): boolean {
  if (version === undefined) return !holds;
  return version.state === "approved" || (!holds && !version.isDecided);
}

export function createDefinitions(app: Pick<App, "db" | "log" | "now" | "config">): Definitions {
  let known: ReadonlyMap<string, Known> = new Map();
  let listed: ReadonlySet<string> = new Set();
  const table = createReplicatedTable(app, {
    name: "tool_definitions",
    read: () => timely(Promise.all([allDefinitions(app.db), listedUpstreams(app.db)])),
    keep: ([rows, upstreams]) => {
      known = byTool(rows);
      listed = new Set(upstreams);
      definitions.version += 1;
    },
  });
  const chains = new Chains();
  const leftOut = new LeftOut();
  const modeOf = ({ tools }: Upstream) => tools.pinning ?? app.config.guards.pinning;
  const find = (upstream: Upstream, name: string) => known.get(toolKey(upstream.name, name));
  const isKept = (upstream: Upstream, name: string, digest: string): boolean => {
    const version = find(upstream, name)?.versions.find((each) => each.hash === digest);
    return isUsable(version, modeOf(upstream) === "hold");
  };
  const definitions: Definitions & { version: number } = {
    load: () => table.load(),
    stop: () => table.stop(),
    version: 0,
    find(upstream, name) {
      const isListed = listed.has(upstream.name);
      return aboutTool(find(upstream, name), isListed, modeOf(upstream) === "hold");
    },
    async judge(upstream, shown, page) {
      const seen = shown.map(digestOf);
      // The one seen last has to be known: it decides whether the tool may be called.
      const isNew = seen.some(
        ({ name, hash: digest }) =>
          find(upstream, name)?.versions[0]?.hash !== digest && !leftOut.has(upstream.name, digest),
      );
      const isLast = chains.ends(upstream.name, page) && (shown.length > 0 || isContinued(page));
      if (isNew || (isLast && !listed.has(upstream.name))) {
        const isTrusting = modeOf(upstream) === "off";
        const list = { upstream: upstream.name, definitions: unique(seen), isLast, isTrusting };
        const left = await timely(saveDefinitions(app.db, list));
        if (left.length > 0) {
          app.log.warn("tools_too_many", { upstream: upstream.name, left: left.length });
          leftOut.add(upstream.name, left);
        }
        await table.load();
      }
      return seen.map(({ name, hash: digest }) => isKept(upstream, name, digest));
    },
    async hear(topics) {
      if (topics.some((subject) => subject.startsWith("tools:"))) await table.changed();
    },
  };
  return definitions;
}

function aboutTool(tool: Known | undefined, isListed: boolean, holds: boolean): KnownTool {
  if (tool === undefined) {
    return { nature: undefined, state: holds && isListed ? "unseen" : "usable", isListed };
  }
  const [newest] = tool.versions;
  const held = newest?.isDecided === true ? "held on purpose" : "held";
  const state = isUsable(newest, holds) ? "usable" : held;
  return { nature: holds ? tool.approved : tool.any, state, isListed };
}

const mostLeftOut = 10_000;

/** What was too much to be written down, and is not tried again each time it is shown. */
class LeftOut {
  readonly #keys = new Set<string>();

  add(upstream: string, hashes: readonly string[]): void {
    for (const each of hashes)
      if (this.#keys.size < mostLeftOut) this.#keys.add(`${upstream} ${each}`);
  }

  has(upstream: string, digest: string): boolean {
    return this.#keys.has(`${upstream} ${digest}`);
  }
}

const mostCursors = 1000;

/** Cursors that lead on from the beginning of a list: only who follows them to the end has seen it whole. */
class Chains {
  readonly #cursors = new Set<string>();

  /** Whether the list ends with this page, and was read from its beginning. */
  ends(upstream: string, { from, next }: ListPage): boolean {
    const key = (cursor: string) => `${upstream} ${cursor}`;
    if (from === "unknown") return false;
    if (from.cursor !== undefined && !this.#cursors.has(key(from.cursor))) return false;
    if (next === undefined) return true;
    this.#cursors.add(key(next.slice(0, 1000)));
    const [oldest] = this.#cursors.size > mostCursors ? this.#cursors : [];
    if (oldest !== undefined) this.#cursors.delete(oldest);
    return false;
  }
}

function isContinued({ from }: ListPage): boolean {
  return from !== "unknown" && from.cursor !== undefined;
}

/** Two definitions of one name are two: which of them a client takes nobody knows. */
function unique<T extends { readonly name: string; readonly hash: string }>(
  seen: readonly T[],
): readonly T[] {
  return [...new Map(seen.map((each) => [`${each.name} ${each.hash}`, each])).values()];
}

function nameOf(definition: Definition): string {
  const { name } = definition;
  return typeof name === "string" ? name.replaceAll("\0", "").toWellFormed() : "";
}

/** Characters. */
const longestText = 64 * 1024;

/** What a model is shown of a tool, and what says what it does. Icons and `_meta` are for programs. */
function digestOf(definition: Definition) {
  const { icons: _, _meta: __, ...rest } = definition;
  const text = canonicalJson(rest);
  const name = nameOf(definition);
  const tooLong = { name, tooLong: `${text.length} characters: more than anybody can look at` };
  return {
    name,
    hash: hash("sha256", text, "hex"),
    definition: text.length > longestText ? JSON.stringify(tooLong) : text,
    nature: natureIn(definition),
  };
}

/** A tool, as people write it. */
export function toolKey(upstream: string, name: string): string {
  return `${upstream}/${name}`;
}

type Row = Awaited<ReturnType<typeof allDefinitions>>[number];

function byTool(rows: readonly Row[]): ReadonlyMap<string, Known> {
  const groups = Map.groupBy(rows, ({ upstream, name }) => toolKey(upstream, name));
  return new Map(
    [...groups].map(([key, versions]) => [
      key,
      {
        versions: versions.map(({ hash: digest, state, decidedAt }) => ({
          hash: digest,
          state,
          isDecided: decidedAt !== null,
        })),
        approved: worstOf(versions.filter(({ state }) => state === "approved")),
        any: worstOf(versions),
      },
    ]),
  );
}

/** Where several definitions are approved, the tool is what the most dangerous one says. */
function worstOf(versions: readonly Row[]): Nature {
  const said = new Set(versions.map(({ nature }) => nature));
  return natures.findLast((nature) => said.has(nature)) ?? "unknown";
}

/** MCP 2026-07-28, tool annotations. `destructiveHint` means nothing where a tool only reads. */
export function natureIn(definition: Definition): Nature {
  const said = definition["annotations"];
  const hints = isObject(said) ? said : {};
  if (hints["readOnlyHint"] === true) return "reading";
  if (hints["destructiveHint"] === true) return "destructive";
  return hints["readOnlyHint"] === false ? "writing" : "unknown";
}
