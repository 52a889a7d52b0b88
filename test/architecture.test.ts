import { expect, test } from "bun:test";
import { Glob } from "bun";
import { readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");

/** A file imports from its own word or from words to its left. ARCHITECTURE.md explains each. */
const arrow = [
  "db",
  "failure",
  "json",
  "single-flight",
  "clock",
  "cache",
  "crypto",
  "http",
  "telemetry",
  "config",
  "runtime",
  "providers",
  "upstreams",
  "app",
  "bus",
  "people",
  "accounts",
  "oauth-server",
  "policy",
  "proxy",
  "operations",
  "pages",
  "sandbox",
  "edge",
  "gateway",
  "check",
  "cli",
] as const;

type SourceFile = { readonly path: string; readonly text: string; readonly code: string };
type Import = { readonly from: SourceFile; readonly specifier: string };

const files = ["src", "db", "cli"].flatMap(sourceFiles);
const imports = files.flatMap((from) =>
  importsOf(from).map((specifier): Import => ({ from, specifier })),
);

test("every file of src, db and cli belongs to a word of the arrow", () => {
  const strangers = files.filter(({ path }) => placeOf(wordOf(path)) === -1);
  expect(strangers.map(({ path }) => path)).toEqual([]);
  expect(imports.length).toBeGreaterThan(200);
});

test("a file imports from its own word or from words to its left", () => {
  const backwards = imports.flatMap(({ from, specifier }) => {
    const target = fileOf(from, specifier);
    if (target === undefined) return [];
    const [here, there] = [wordOf(from.path), wordOf(target)];
    return placeOf(there) <= placeOf(here) ? [] : [`${from.path} (${here}) imports ${target}`];
  });
  expect(backwards).toEqual([]);
});

test("no files import each other in a ring, types included", () => {
  const targets = Map.groupBy(imports, ({ from }) => from.path);
  const reached = (start: string): ReadonlySet<string> => {
    const seen = new Set<string>();
    const open = [start];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      for (const { from, specifier } of targets.get(path) ?? []) {
        const target = fileOf(from, specifier);
        if (target === undefined || seen.has(target)) continue;
        seen.add(target);
        open.push(target);
      }
    }
    return seen;
  };
  const rings = files.filter(({ path }) => reached(path).has(path));
  expect(rings.map(({ path }) => path)).toEqual([]);
});

/** Words of ours for which the field has one. Names of interfaces (codes, events, settings, tables) are no identifiers. */
const retired =
  /\b(deed|Scene|sceneOf\w*|Standing|standingFor|Sighting|troubleOf|laidOut|createMirror|Mirror|AnswerWatch|EventCutter|Gathered|createLeaving|isLeaving|watchingOf|[tT]ally|createTally|[aA]dmission|createAdmission|[lL]etGo|Finder|ToldPeer|Rehearsal|openRehearsal|Finding|Pace|Hub|recordEndings|createOnce|UpkeepWatch|Door)\b/;
const retiredFiles =
  /\/(watching|answer-watch|event-cutter|gathered|link-answer|own-question|first-event|mirrored-headers|reach|leaving|trouble|laid-out|mirror|admission|standing|once|tally|pace|told|finder|hub|inside|rehearsal|upkeep|screens|wings)(\.ts$|\/)/;

test("no identifier and no file is named with a word that was given up", () => {
  const found = files.flatMap(({ path, code }) => {
    const word =
      retired.exec(code)?.[0] ?? retiredFiles.exec(`/${path.replace(/^(src|cli|db)\//, "")}`)?.[1];
    return word === undefined ? [] : [`${path}: ${word}`];
  });
  expect(found).toEqual([]);
});

test("the glossary of ARCHITECTURE.md has twenty words at most", () => {
  const document = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const [, glossary = ""] = /## Words of ours([^]*?)\n## /.exec(document) ?? [];
  const rows = glossary.split("\n").filter((line) => /^\| (?!Word|-)/.test(line));
  expect(rows.length).toBeWithin(10, 21);
});

test("what a function depends on is not named with -ing", () => {
  const bag = /^(?:export )?type (\w+ing) =\s*(?:Pick<\s*)?(?:App\b|\w+Deps\b)/m;
  const found = files.flatMap(({ path, code }) => {
    const name = bag.exec(code)?.[1];
    return name === undefined ? [] : [`${path}: ${name}`];
  });
  expect(found).toEqual([]);
});

test("App is a word of its own: nothing to its left knows it, not even as a type", () => {
  const early = imports.filter(({ from, specifier }) => {
    const isApp = fileOf(from, specifier) === "src/app.ts";
    return isApp && placeOf(wordOf(from.path)) < placeOf("app");
  });
  expect(early.map(({ from }) => from.path)).toEqual([]);
});

test("SQL and its driver stay in db and in stores", () => {
  const isData = ({ path }: SourceFile) =>
    path.startsWith("db/") || /^([a-z-]+-)?store\.ts$/.test(basename(path));
  expect(importersOf(/^(drizzle-orm|postgres)(\/|$)/, isData)).toEqual([]);
});

test("arctic is known to one file", () => {
  const isTheOne = ({ path }: SourceFile) => path === "src/accounts/authorization-request.ts";
  expect(importersOf(/^arctic(\/|$)/, isTheOne)).toEqual([]);
});

test("only src/runtime names Bun or Deno", () => {
  const named = files.filter(
    ({ path, code }) =>
      !path.startsWith("src/runtime/") && /\bBun\.\w|\bDeno\b|"bun(:[\w-]+)?"/.test(code),
  );
  expect(named.map(({ path }) => path)).toEqual([]);
});

test("no stream counts what waits unread in bytes: Bun sets as many aside for each response", () => {
  const most = 64;
  const costly = files.filter(({ code }) => {
    const marks = [...code.matchAll(/highWaterMark: ([\w* ]+)\b/g)].map(([, mark = ""]) => mark);
    const sizes = marks.map((mark) =>
      Number(new RegExp(`${mark} = (\\d+);`).exec(code)?.[1] ?? mark),
    );
    return code.includes("ByteLengthQueuingStrategy") || sizes.some((size) => !(size <= most));
  });
  expect(costly.map(({ path }) => path)).toEqual([]);
});

test("only cli/environment.ts and src/runtime read process.env", () => {
  const readers = files.filter(
    ({ path, code }) =>
      path !== "cli/environment.ts" &&
      !path.startsWith("src/runtime/") &&
      /\bprocess\s*\.\s*env\b|\bprocess\["env"\]|\{[^{}]*\benv\b[^{}]*\} = process\b/.test(code),
  );
  expect(readers.map(({ path }) => path)).toEqual([]);
});

test("only where a gateway is put together, and its commands, know the edge extension", () => {
  const isAllowed = (path: string) =>
    wordOf(path) === "edge" || path === "src/gateway/gateway.ts" || path.startsWith("cli/");
  const entangled = imports.flatMap(({ from, specifier }) => {
    const isEdges = fileOf(from, specifier)?.startsWith("src/edge/") === true;
    return isEdges && !isAllowed(from.path) ? [`${from.path} imports ${specifier}`] : [];
  });
  expect(entangled).toEqual([]);
});

/** One row below the other, looked up by name: they may be as long as they are. */
const tables = new Set(["src/check/rules.ts", "src/config/settings.ts", "src/pages/words.ts"]);

test("no file is longer than 400 lines, tables aside", () => {
  const long = files.filter(
    ({ path, text }) => !tables.has(path) && text.trimEnd().split("\n").length > 400,
  );
  expect(long.map(({ path }) => path)).toEqual([]);
});

test("no folder is a drawer for whatever has no name", () => {
  const drawers = new Set(["utils", "helpers", "shared", "common", "misc"]);
  const found = files.filter(({ path }) => path.split("/").some((part) => drawers.has(part)));
  expect(found.map(({ path }) => path)).toEqual([]);
});

test("the arrow in ARCHITECTURE.md is this one", () => {
  const document = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const drawn = /```text\n(db →[^`]*)```/.exec(document)?.[1] ?? "";
  expect(drawn.trim().split(/\s*→\s*/)).toEqual([...arrow]);
});

function importersOf(wanted: RegExp, isAllowed: (file: SourceFile) => boolean): readonly string[] {
  const found = imports.filter(({ from, specifier }) => wanted.test(specifier) && !isAllowed(from));
  return found.map(({ from, specifier }) => `${from.path} imports ${specifier}`);
}

/** The path that an import of ours leads to; undefined for packages. */
function fileOf(from: SourceFile, specifier: string): string | undefined {
  if (specifier.startsWith("#")) return specifier.slice(1);
  if (!specifier.startsWith(".")) return undefined;
  return relative(root, join(root, dirname(from.path), specifier));
}

/** `src/accounts/refresh.ts` → `accounts`, `src/clock.ts` → `clock`, `db/open.ts` → `db`. */
function wordOf(path: string): string {
  const [top = "", second = ""] = path.split("/");
  return top === "src" ? second.replace(/\.ts$/, "") : top;
}

function placeOf(word: string): number {
  return arrow.findIndex((each) => each === word);
}

/** Of `import … from`, `export … from`, `import "…"` and `import("…")`, types included. */
function importsOf({ code }: SourceFile): readonly string[] {
  const found = code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"\n]+)"/g);
  return [...found].map((match) => match[1] ?? "");
}

function sourceFiles(folder: string): readonly SourceFile[] {
  const paths = [...new Glob(`${folder}/**/*.ts`).scanSync({ cwd: root })].toSorted();
  return paths.map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, code: withoutComments(text) };
  });
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/[^\n]*/g, "$1");
}
