import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Glob } from "bun";
import { sql } from "drizzle-orm";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { accountStates } from "#db/schema/accounts.ts";
import { failures } from "#src/failure.ts";
import { evaluate } from "#src/operations/alerts/alerts.ts";
import { levels } from "#src/telemetry/log.ts";
import { root } from "#test/cli/program.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";

setDefaultTimeout(60_000);

/**
 * What scripts/deploy has for Grafana and Prometheus, against the metrics of a gateway that has worked: a name or a
 * label that there is not would be an empty panel, or an alert that never fires.
 */
type Target = { readonly expr: string; readonly legendFormat: string; readonly refId: string };
type Panel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number };
  readonly targets?: readonly Target[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly options?: { readonly legend?: { readonly showLegend: boolean } };
};
type Variable = { readonly name: string; readonly type: string; readonly definition?: string };
type Dashboard = {
  readonly uid?: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly Panel[];
};
type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
};
type Rules = { readonly groups: readonly { readonly rules: readonly Rule[] }[] };

const read = (path: string) => readFileSync(join(root, path), "utf8");
const dashboardText = read("scripts/deploy/grafana-dashboard.json");
const dashboard = JSON.parse(dashboardText) as Dashboard;
const rules = (
  Bun.YAML.parse(read("scripts/deploy/prometheus-rules.yaml")) as Rules
).groups.flatMap((group) => group.rules);
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const variables = dashboard.templating.list;

/** A PromQL expression, and the labels that the words beside it take from its result. */
type Expression = {
  readonly where: string;
  readonly text: string;
  readonly told: readonly string[];
};

const expressions: readonly Expression[] = [
  ...panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr, legendFormat }) => ({
      where: `panel "${title}" ${refId}`,
      text: expr,
      told: wordsOf(legendFormat, /\{\{(\w+)\}\}/g),
    })),
  ),
  ...variables.flatMap(({ name, definition = "" }) => {
    const [, text, label] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
    if (text === undefined || label === undefined) return [];
    return [{ where: `variable ${name}`, text, told: [label] }];
  }),
  ...rules.map(({ alert, expr, annotations }) => ({
    where: `rule ${alert}`,
    text: expr,
    told: wordsOf(`${annotations.summary} ${annotations.description}`, /\$labels\.(\w+)/g),
  })),
];

function wordsOf(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

/** One metric in an expression. */
type Use = {
  readonly where: string;
  readonly metric: string;
  readonly matchers: readonly Matcher[];
  /** Whether it is read over a time. */
  readonly isRange: boolean;
  /** What stands around it, from the outside. */
  readonly around: readonly Bracket[];
  readonly told: readonly string[];
};
type Matcher = { readonly label: string; readonly values: readonly string[] };
type Bracket = { readonly name: string; readonly by: readonly string[] };

const aggregations = new Set(["sum", "max", "count"]);
const functions = new Set(["rate", "increase", "histogram_quantile", "time", "absent"]);
const operators = new Set(["and", "or", "unless", "offset"]);
const pattern =
  /"[^"]*"|\[[^\]]*\]|[A-Za-z_:][\w:]*|\d[\w.]*|=~|!~|!=|==|<=|>=|[-+*/(){},=<>]|\s+|./g;

const simple = /^(?:\d[\w.]*|==|!=|<=|>=|[-+*/,<>])$/;

/** As much of PromQL as the two files need; anything else throws. `by (…)` stands before what it is about. */
function usesIn({ where, text, told }: Expression): readonly Use[] {
  const tokens = [...text.matchAll(pattern)]
    .map(([token]) => token)
    .filter((each) => !/^\s/.test(each));
  const found: Use[] = [];
  const around: Bracket[] = [];
  let next: Bracket | undefined;
  const fail = (token: string) => new Error(`${where}: "${token}" is not understood in ${text}`);
  /** What stands between the bracket at the beginning of `tokens` and the next one that closes. */
  const list = (close: string) => tokens.splice(0, tokens.indexOf(close) + 1).slice(1, -1);

  function name(token: string): void {
    if (operators.has(token)) return;
    if (token === "by" && next !== undefined && aggregations.has(next.name)) {
      next = { ...next, by: list(")").filter((each) => each !== ",") };
    } else if (aggregations.has(token) || functions.has(token)) {
      next = { name: token, by: [] };
    } else {
      const matchers = tokens[0] === "{" ? matchersOf(list("}").join("")) : [];
      const isRange = tokens[0]?.startsWith("[") === true;
      if (isRange) tokens.shift();
      found.push({ where, metric: token, matchers, isRange, around: [...around], told });
    }
  }

  for (let token = tokens.shift(); token !== undefined; token = tokens.shift()) {
    if (/^[A-Za-z_:]/.test(token)) name(token);
    else if (token === "(") {
      around.push(next ?? { name: "", by: [] });
      next = undefined;
    } else if (token === ")") around.pop();
    else if (!simple.test(token)) throw fail(token);
  }
  if (around.length > 0 || found.length === 0) throw fail("(");
  return found;
}

function matchersOf(text: string): readonly Matcher[] {
  return [...text.matchAll(/(\w+)(?:=~|!~|!=|=)"([^"]*)"/g)].map(([, label = "", value = ""]) => ({
    label,
    values: value.split("|"),
  }));
}

const uses = expressions.flatMap(usesIn);

/** What Prometheus can read: the name of each series, with its type and, where one was made, its labels. */
type Series = { readonly type: string; readonly labels: readonly string[] | undefined };

const scraped = ["job", "instance"];
let world: World;
let exposed: ReadonlyMap<string, Series>;
beforeAll(async () => {
  const token = "metrics-token-of-16-or-more";
  world = await openWorld({
    environment: { METRICS_TOKEN: token, SMARTDASH_LIMITS: "tool=1/60s" },
  });
  const bearer = await newBearer({ url: world.url });
  world.sandbox.providers.get("mercadolibre")?.grants.expireAccess();
  for (const id of [1, 2])
    await (await post(`${world.url}/mcp`, bearer, toolCall("whoami", {}, id))).text();
  const { db } = world.app;
  await db.execute(sql`update smartdash_migrations set applied_at = now() - interval '9 days'`);
  await evaluate(world.app);
  const headers = { authorization: `Bearer ${token}` };
  const text = await (await fetch(`${world.url}/metrics`, { headers })).text();
  exposed = new Map([...seriesIn(text), ["up", { type: "gauge", labels: scraped }]]);
});
afterAll(() => world[Symbol.asyncDispose]());

function seriesIn(text: string): readonly (readonly [string, Series])[] {
  const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)];
  return types.flatMap(([, name = "", type = ""]) => {
    const suffixes = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    return suffixes.map((suffix) => {
      const sample = new RegExp(`^${name}${suffix}(?:\\{(.*)\\})? `, "m").exec(text);
      const own = wordsOf(sample?.[1] ?? "", /(\w+)="/g);
      const labels = sample === null ? undefined : [...own, ...scraped];
      return [`${name}${suffix}`, { type, labels }] as const;
    });
  });
}

test("the dashboard is for any Grafana: a data source that is chosen, nothing of the one it came from", () => {
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
  expect(dashboard.uid).toBeUndefined();
  expect(variables[0]).toMatchObject({
    name: "datasource",
    type: "datasource",
    query: "prometheus",
  });
  const uids = new Set(wordsOf(dashboardText, /"uid": "([^"]*)"/g));
  expect([...uids]).toEqual(["${datasource}"]);
  const known = new Set(["__rate_interval", ...variables.map(({ name }) => name)]);
  const used = wordsOf(dashboardText, /\$\{?(\w+)/g).filter((name) => name !== "__all");
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test("every panel has an id and a place of its own, a title, a unit, one sentence and a legend", () => {
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const places = dashboard.panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
  expect(new Set(places).size).toBe(places.length);
  expect(dashboard.panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  const titles = panels.map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
  expect(panels.filter((panel) => !isWhole(panel)).map(({ title }) => title)).toEqual([]);
});

function isWhole({ type, title, description, targets = [], ...rest }: Panel): boolean {
  const hasLegend = type === "stat" || rest.options?.legend?.showLegend === true;
  const words = [title, rest.fieldConfig?.defaults.unit, targets[0]?.legendFormat];
  const legends = targets.map(({ legendFormat }) => legendFormat);
  const areThere = [...words, ...legends].every((word) => word !== undefined && word !== "");
  return hasLegend && areThere && /^[A-Z](?:[^.]|\.(?=\w))*\.$/.test(description ?? "");
}

test("every metric is one that a gateway exposes, a histogram by its series", () => {
  const names = new Set(uses.map(({ metric }) => metric));
  expect(names.size).toBeGreaterThan(10);
  const unknown = uses.filter(({ metric }) => !exposed.has(metric));
  expect(unknown.map(({ where, metric }) => `${where}: ${metric}`)).toEqual([]);
});

test("the gateway of this test has made every series that is used, so that their labels are known", () => {
  const silent = uses.filter(({ metric }) => exposed.get(metric)?.labels === undefined);
  expect([...new Set(silent.map(({ metric }) => metric))]).toEqual([]);
});

test("rates are of what only grows, quantiles of buckets, and nothing else is read over a time", () => {
  const wrong = uses.filter((use) => {
    const names = use.around.map(({ name }) => name);
    const isRated = ["rate", "increase"].includes(names.at(-1) ?? "");
    const grows = exposed.get(use.metric)?.type !== "gauge";
    if (use.isRange !== isRated || (isRated && !grows)) return true;
    const isBucket = use.metric.endsWith("_bucket");
    const keepsBuckets = use.around.some(({ by }) => by.includes("le"));
    return isBucket !== names.includes("histogram_quantile") || isBucket !== keepsBuckets;
  });
  expect(wrong.map(({ where, metric }) => `${where}: ${metric}`)).toEqual([]);
});

test("every label is one of its metric, also in legends and in the words of alerts", () => {
  const wrong = uses.flatMap((use) =>
    strangeLabels(use).map((label) => `${use.where}: ${label} of ${use.metric}`),
  );
  expect(wrong).toEqual([]);
});

/** From the inside to the outside: each aggregation leaves only the labels that it names. */
function strangeLabels({ metric, matchers, around, told }: Use): readonly string[] {
  let left = exposed.get(metric)?.labels ?? [];
  const strange = matchers.map(({ label }) => label).filter((label) => !left.includes(label));
  for (const { name, by } of around.toReversed()) {
    if (name === "histogram_quantile") left = left.filter((label) => label !== "le");
    if (!aggregations.has(name)) continue;
    strange.push(...by.filter((label) => !left.includes(label)));
    left = by;
  }
  return [...strange, ...told.filter((label) => !left.includes(label))];
}

test("what a label is compared with is one of its values", () => {
  const sources = [...new Glob("src/**/*.ts").scanSync({ cwd: root })]
    .map((path) => read(path))
    .join("\n");
  const known: Readonly<Record<string, ReadonlySet<string>>> = {
    job: new Set(["smartdash"]),
    instance: new Set(["$instance"]),
    state: new Set(accountStates),
    level: new Set(levels),
    code: new Set(Object.keys(failures)),
    kind: new Set(wordsOf(sources, /\bkind: "(\w+)"/g)),
    event: new Set(["call", ...wordsOf(sources, /\.log\.\w+\(\s*"(\w+)"/g)]),
    outcome: new Set(["success", "invalid_grant"]),
    status: new Set(["5.."]),
  };
  const wrong = uses.flatMap(({ where, matchers }) =>
    matchers.flatMap(({ label, values }) =>
      values
        .filter((value) => known[label]?.has(value) !== true)
        .map((value) => `${where}: ${label} ${value}`),
    ),
  );
  expect(wrong).toEqual([]);
  // Gateways of another job, a test's for one, are not mixed in.
  const mixed = uses.filter(({ matchers }) => !matchers.some(({ label }) => label === "job"));
  expect(mixed.map(({ where, metric }) => `${where}: ${metric}`)).toEqual([]);
});

test("every rule waits, has a severity, and says what to do and which section of the runbook to read", () => {
  const names = rules.map(({ alert }) => alert);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(6);
  const headings = new Set(wordsOf(read("docs/runbook.md"), /^#{2,6} (.+)$/gm));
  const wrong = rules.filter(({ for: wait, labels, annotations }) => {
    const sections = wordsOf(annotations.description, /section "([^"]+)"/g);
    const isComplete =
      /^[1-9]\d*[mh]$/.test(wait) &&
      ["critical", "warning"].includes(labels.severity) &&
      annotations.summary !== "" &&
      annotations.description.includes("docs/runbook.md") &&
      sections.length > 0;
    return !isComplete || sections.some((section) => !headings.has(section));
  });
  expect(wrong.map(({ alert }) => alert)).toEqual([]);
});
