import { expect, test } from "bun:test";
import { Glob } from "bun";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { endpoints, metadataPaths, tokenEndpointAliases } from "#src/oauth-server/endpoints.ts";
import { mcpRoutes } from "#src/proxy/routes.ts";
import { noToolRules } from "#src/upstreams/tool-rules.ts";
import { mercadolibreShop, shopProfiles } from "#src/upstreams/mercadolibre-shop/pack.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { problems } from "#src/check/rules.ts";
import { settings } from "#src/config/settings.ts";
import { failures } from "#src/failure.ts";
import { subCommands } from "#cli/table-of-commands.ts";
import { documents, generatedParts, withGenerated } from "../scripts/docs.ts";

const root = join(import.meta.dir, "..");
const texts = new Map(documents().map((path) => [path, read(path)]));

test("there is a document for every reader", () => {
  const wanted = ["README", "ARCHITECTURE", "SECURITY", "CONTRIBUTING", "CHANGELOG"];
  const missing = wanted.filter((name) => !texts.has(`${name}.md`));
  expect(missing).toEqual([]);
});

test.each([...texts])("the generated parts of %s are up to date (bun run docs)", (_, text) => {
  expect(withGenerated(text)).toBe(text);
});

test("every generated part stands in some document", () => {
  const all = [...texts.values()].join("\n");
  const unused = generatedParts.filter((name) => !all.includes(`<!-- generated: ${name} -->`));
  expect(unused).toEqual([]);
});

test("every setting is documented", () => {
  const document = textOf("docs/settings.md");
  expect(Object.keys(settings).filter((name) => !document.includes(`| \`${name}\` |`))).toEqual([]);
});

test("every failure code has a heading to link to", () => {
  const document = textOf("docs/errors.md");
  expect(Object.keys(failures).filter((code) => !document.includes(`\n### ${code}\n`))).toEqual([]);
});

test("every command is in docs/commands.md", () => {
  const names = Object.keys(subCommands);
  const document = textOf("docs/commands.md");
  expect(names).not.toEqual([]);
  expect(names.filter((name) => !document.includes(`| \`smartdash ${name}\` |`))).toEqual([]);
});

test("every decision is in the index", () => {
  const index = textOf("docs/decisions/README.md");
  const records = [...texts.keys()].filter((path) => /^docs\/decisions\/\d/.test(path));
  expect(records.length).toBeGreaterThan(20);
  expect(records.filter((path) => !index.includes(`(${basename(path)})`))).toEqual([]);
});

test("every finding of check has a heading to link to, and no other has one", () => {
  const document = textOf("docs/checks.md");
  const headings = [...document.matchAll(/^### (\w+)$/gm)].map((match) => match[1] ?? "");
  expect(headings.toSorted()).toEqual(Object.keys(problems).toSorted());
});

test("every alert has a heading in the runbook", () => {
  const runbook = textOf("docs/runbook.md");
  const found = [
    ...sources()
      .join("\n")
      .matchAll(/kind: "(\w+)",\s+subject/g),
  ];
  const kinds = found.map((match) => match[1] ?? "");
  expect(kinds.length).toBeGreaterThan(8);
  expect(kinds.filter((kind) => !runbook.includes(`\n### Alert ${kind}\n`))).toEqual([]);
});

const notMetrics = new Set(["smartdash_migrations", "smartdash_endings"]);

test("every metric is documented", () => {
  const document = textOf("docs/metrics.md");
  const found = [
    ...sources()
      .join("\n")
      .matchAll(/"((?:smartdash|process)_\w+)"/g),
  ];
  const names = found.map((match) => match[1] ?? "").filter((name) => !notMetrics.has(name));
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !document.includes(`| \`${name}\` |`))).toEqual([]);
});

test("every example of a command's help is a command that there is", () => {
  const names = Object.keys(subCommands);
  const all = filesOf("cli/commands/*.ts").join("\n");
  const examples = [...all.matchAll(/["`]smartdash ([a-z][\w-]*)/g)];
  const wrong = examples.map((match) => match[1] ?? "").filter((name) => !names.includes(name));
  expect(wrong).toEqual([]);
});

test("every route is in docs/addresses.md", () => {
  const document = textOf("docs/addresses.md");
  const routes = [...pageRoutes(), ...mcpPaths()];
  expect(routes.length).toBeGreaterThan(10);
  expect(routes.filter((route) => !document.includes(`\`${route}\``))).toEqual([]);
});

test("every log event is in the runbook", () => {
  const runbook = textOf("docs/runbook.md");
  const events = sources().flatMap((text) =>
    [...text.matchAll(/\.log\.(?:debug|info|warn|error|lasting)\(\s*"(\w+)"/g)].map(
      (match) => match[1],
    ),
  );
  expect(events.length).toBeGreaterThan(10);
  expect(events.filter((event) => !new RegExp(`\\b${event}\\b`).test(runbook))).toEqual([]);
});

test("every table is in SECURITY.md, with the columns that hold secrets", () => {
  const document = textOf("SECURITY.md");
  const schema = filesOf("db/schema/*.ts").join("\n");
  const tables = [...schema.matchAll(/pgTable\(\s*"(\w+)"/g)].map((match) => match[1]);
  const secret = [...schema.matchAll(/\bbytes\("(\w+)"\)/g)].map((match) => match[1]);
  expect(tables).not.toEqual([]);
  const missing = [...tables, ...secret].filter((name) => !document.includes(`\`${name}\``));
  expect(missing).toEqual([]);
});

test("every relative link leads to a file, and every anchor to a heading", () => {
  const broken = [...texts].flatMap(([path, text]) =>
    linksOf(text)
      .filter((link) => !leadsSomewhere(path, link))
      .map((link) => `${path}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test("every `file:function` of the documents is in that file", () => {
  const all = [...texts.values()].join("\n");
  const named = [...all.matchAll(/`((?:src|db|cli|scripts)\/[\w./-]+\.ts):(\w+)`/g)];
  expect(named.length).toBeGreaterThan(20);
  const broken = named.filter(([, file = "", name = ""]) => {
    const path = join(root, file);
    const declared = new RegExp(`\\b(?:function|const|class|type) ${name}\\b`);
    return !existsSync(path) || !declared.test(readFileSync(path, "utf8"));
  });
  expect(broken.map(([whole]) => whole)).toEqual([]);
});

test("every source file that a document names is there", () => {
  const gone = [...texts].flatMap(([path, text]) => {
    const named = [...text.matchAll(/`((?:src|db|cli|scripts|test)\/[\w./-]+\.(?:ts|mjs))[`:]/g)];
    return named
      .map((match) => match[1] ?? "")
      .filter((file) => !existsSync(join(root, file)))
      .map((file) => `${path}: ${file}`);
  });
  expect(gone).toEqual([]);
});

test("no document names a machine's folders or a package registry", () => {
  const forbidden = /\/(?:work|home|root|Users|tmp)\/|registry\.|npmjs\.|jfrog|artifactory/;
  const found = [...texts].filter(([, text]) => forbidden.test(text)).map(([path]) => path);
  expect(found).toEqual([]);
});

function pageRoutes(): readonly string[] {
  const all = sources().join("\n");
  const mounted = all.matchAll(/\.(?:get|post|put|delete|all)\(\s*"(\/[^"]*)"/g);
  const named = all.matchAll(/"(\/\.well-known\/oauth-protected-resource|\/auth\/callback)"/g);
  const found = [...mounted, ...named].map((match) => match[1] ?? "");
  const server = Object.values(endpoints).map(({ path }) => path);
  return [...found, ...server, ...tokenEndpointAliases, ...metadataPaths];
}

/** The MCP addresses of an upstream that is the default one. */
function mcpPaths(): readonly string[] {
  const name = ":upstream";
  const upstream: Upstream = {
    name,
    title: "",
    url: "",
    credential: { kind: "none" },
    tools: noToolRules,
  };
  const catalog = {
    providers: new Map(),
    upstreams: new Map([[name, upstream]]),
    defaultUpstream: name,
  };
  return [...mcpRoutes({ catalog }).keys()];
}

/** Without the simulated providers, whose routes are not ours. */
function sources(): readonly string[] {
  return filesOf("src/**/*.ts", /^src\/sandbox\//).concat(filesOf("cli/**/*.ts"));
}

function filesOf(pattern: string, except?: RegExp): string[] {
  const paths = [...new Glob(pattern).scanSync({ cwd: root })];
  return paths.filter((path) => except?.test(path) !== true).map(read);
}

function linksOf(text: string): readonly string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  return links.filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(from: string, link: string): boolean {
  const [file = "", anchor] = link.split("#");
  const path = file === "" ? join(root, from) : join(root, dirname(from), file);
  if (!existsSync(path)) return false;
  return anchor === undefined || headingsOf(readFileSync(path, "utf8")).has(anchor);
}

/** Headings as GitHub makes anchors of them. */
function headingsOf(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#{1,6} +(.+)$/gm)].map((match) => match[1] ?? "");
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function textOf(path: string): string {
  return texts.get(path) ?? "";
}

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

test("every tool of a pack is in docs/tools.md, with the profile that has it", () => {
  const document = textOf("docs/tools.md");
  const rows = mercadolibreShop.tools.filter(({ name }) => {
    const profile = shopProfiles.read.includes(name) ? "read" : "sell";
    return !new RegExp(`^\\|[^|]*\`${name}\`[^|]*\\| ${profile} \\|`, "m").test(document);
  });
  expect(rows.map(({ name }) => name)).toEqual([]);
});
