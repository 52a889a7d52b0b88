import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { AxeResults } from "axe-core";
import { sql } from "drizzle-orm";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { Role } from "#src/people/operator-store.ts";
import { createOperatorLink } from "#src/people/operators.ts";
import { beginCheckReport, saveCheckReport } from "#src/operations/check-report-store.ts";
import { saveConditions } from "#src/operations/alerts/alert-store.ts";
import { saveDefinitions } from "#src/policy/tools/store.ts";
import { consoleRooms } from "#test/console/operator.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { isLong } from "#test/support/rounds.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
  mkdirSync(pictures, { recursive: true });
});
afterAll(() => chrome.close());

/** `bun scripts/pictures.ts` takes those of docs/console.md from here. */
const pictures = join(import.meta.dir, "../../dist/screenshots");
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

type Busy = World & { readonly bearer: string };

/** A gateway on which something has happened, in every room. */
async function openBusyWorld(): Promise<Busy> {
  const world = await openWorld({ environment: { SMARTDASH_APPROVAL: "destructive" } });
  const { app, url } = world;
  const bearer = await newBearer({ url });
  const listed = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  await (await post(`${url}/mcp/mercadolibre`, bearer, listed)).text();
  for (const name of [
    "list_orders",
    "list_items",
    "whoami",
    "nothing_of_that_name",
    "close_listing",
  ]) {
    await (await post(`${url}/mcp/mercadolibre`, bearer, toolCall(name, { n: name }))).text();
  }
  await app.db.execute(sql`
    insert into call_counts (span, slot, upstream, caller, account, guard, calls, failed, durations)
    select 'minute', date_trunc('minute', now()) - n * interval '1 minute', 'mercadolibre', '', '', guard,
      (600 + 300 * sin(n / 9.0))::int / case when guard = '' then 1 else 25 end,
      case when guard = '' and n % 17 = 0 then 30 else 0 end, array[10,200,300,80,20,10,4,1,0,0,0,0]
    from generate_series(1, 60) n, (values (''), ('rate_limited')) v(guard)`);
  const text = {
    description: "The orders of the last week, and who bought",
    inputSchema: { type: "object" },
  };
  const definition = JSON.stringify({ name: "list_orders", ...text });
  const changed = {
    name: "list_orders",
    hash: "0".repeat(64),
    definition,
    nature: "reading" as const,
  };
  const list = { upstream: "mercadolibre", isLast: true, isTrusting: false };
  await saveDefinitions(app.db, { ...list, definitions: [changed] });
  const summary = "Calls to airtable fail: upstream_timeout, 12 of 40 in five minutes";
  await saveConditions(app.db, [{ kind: "upstream_failing", subject: "airtable", summary }]);
  for (const [by, findings] of [
    ["operator", ["warn", "pass"]],
    ["console:ana", ["fail", "warn", "skipped", "pass"]],
  ] as const) {
    await saveCheckReport(app.db, await beginCheckReport(app.db, by, app.now()), checked(findings));
  }
  await beginCheckReport(app.db, "console:eve", app.now());
  const waiting = () =>
    app.db.execute<{ count: number }>(sql`select count(*)::int as count from calls`);
  while (((await waiting())[0]?.count ?? 0) < 6)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return { ...world, bearer, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

/** A report with one result of each status. */
function checked(statuses: readonly ("fail" | "warn" | "skipped" | "pass")[]) {
  const findings = statuses.map((status) => ({
    status,
    code: `${status}_example`,
    message: "1 account of mercadolibre has to be connected again by its person",
    hint: "Ask its person to connect it again: the page of its account has the link.",
  }));
  const counts = Object.fromEntries(statuses.map((status) => [status, 1]));
  const options = { isOffline: false, patience: "usual" };
  const build = { number: "0.2.0", revision: "0123456789ab" };
  const report = { build, options, publicUrl: "https://mcp.example.com", findings };
  const status = statuses.includes("fail") ? ("fail" as const) : ("warn" as const);
  return { status, counts, extent: "whole" as const, report: JSON.stringify(report) };
}

/** Opens the console as people do: the link, then its button. */
async function enter(page: Page, { app, url }: World, role: Role): Promise<void> {
  const asked = { page: "console", role, subject: "ana" } as const;
  await page.goto((await createOperatorLink({ ...app, publicUrl: url }, asked)).url);
  await page.getByRole("button").click();
  await page.waitForURL(`${url}/console/overview`);
}

/** Every page of the console, with those of one thing. */
async function everyPage({
  app,
}: World): Promise<readonly (readonly [name: string, path: string])[]> {
  const [ids] = await app.db.execute<{ account: string; call: string; report: string }>(sql`
    select (select id from accounts limit 1) as account, (select id from calls order by id desc limit 1) as call,
      (select id from check_reports where report is not null order by id desc limit 1) as report`);
  return [
    ...consoleRooms.map((room) => [room, room] as const),
    ["day", "overview?period=day"],
    ["report", `check/${ids?.report}`],
    ["call", `calls/${ids?.call}`],
    ["account", `accounts/${ids?.account}`],
    ["revoke", `revoke?kind=account&id=${ids?.account}`],
    ["verified", `audit?day=${new Date().toISOString().slice(0, 10)}`],
  ];
}

type Look = {
  readonly locale: string;
  readonly role: Role;
  readonly scheme: "light" | "dark";
  readonly width: number;
};

const whole: readonly Look[] = ["es-AR", "pt-BR", "en-GB"].flatMap((locale) =>
  (["operator", "auditor"] as const).flatMap((role) =>
    (["light", "dark"] as const).flatMap((scheme) =>
      [360, 1280, 1600].map((width) => ({ locale, role, scheme, width })),
    ),
  ),
);
/** Each language, role, colour and width once; the first with the pages of one thing, too. */
const few: readonly Look[] = [
  { locale: "en-GB", role: "operator", scheme: "light", width: 1280 },
  { locale: "es-AR", role: "auditor", scheme: "dark", width: 360 },
  { locale: "pt-BR", role: "operator", scheme: "dark", width: 1600 },
];

test.each(isLong ? whole : few)(
  "every page of the console fits, and axe finds nothing serious: $locale, $role, $scheme, $width px",
  async ({ locale, role, scheme, width }) => {
    await using world = await openBusyWorld();
    const options: BrowserContextOptions = {
      colorScheme: scheme,
      viewport: { width, height: 800 },
      bypassCSP: true,
    };
    await using window = await openWindow(chrome, locale, options);
    const { page } = window;
    await enter(page, world, role);
    const found: string[] = [];
    const all = await everyPage(world);
    const isWhole = isLong || width === 1280;
    for (const [name, path] of isWhole ? all : all.slice(0, consoleRooms.length)) {
      await page.goto(`${world.url}/console/${path}`);
      const file = `console-${name}-${locale}-${role}-${scheme}-${width}.png`;
      await page.screenshot({ path: join(pictures, file), fullPage: true });
      const out = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (out > 0) found.push(`${name} sticks out by ${out}`);
      // The gate asks axe about what the first look has not shown: the dark, and a telephone.
      if (!isLong && width === 1600) continue;
      await page.evaluate(axe);
      const { violations } = await page.evaluate<AxeResults>("axe.run(document)");
      for (const { id, impact, nodes } of violations) {
        if (impact !== "serious" && impact !== "critical") continue;
        found.push(`${name}: ${id} ${nodes.map(({ html }) => html.slice(0, 200)).join(" ")}`);
      }
    }
    expect(found).toEqual([]);
    expect(window.complaints).toEqual([]);
    expect([...window.hosts]).toEqual(["localhost"]);
  },
);

test("pictures of docs/console.md", async () => {
  await using world = await openBusyWorld();
  await using window = await openWindow(chrome, "en-GB", {
    viewport: { width: 1000, height: 640 },
  });
  const { page } = window;
  await enter(page, world, "operator");
  for (const room of ["overview", "calls", "tools"]) {
    await page.goto(`${world.url}/console/${room}`);
    await page.screenshot({ path: join(pictures, `docs-${room}.png`) });
  }
  // The policy of the pages holds here: nothing was refused.
  expect(window.complaints).toEqual([]);
});

test("with the keyboard alone: in, to a room, through its table, to a button and its effect", async () => {
  await using world = await openBusyWorld();
  await using window = await openWindow(chrome, "en-GB");
  const { page } = window;
  const { app, url } = world;
  await page.goto((await createOperatorLink({ ...app, publicUrl: url }, { page: "console" })).url);
  const reach = async (name: RegExp) => {
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press("Tab");
      const label = await page.evaluate(() => {
        const at = document.activeElement;
        return at?.getAttribute("aria-label") ?? at?.textContent?.trim() ?? "";
      });
      if (name.test(label)) return;
    }
    throw new Error(`the keyboard does not reach ${name}`);
  };
  await reach(/^Enter$/);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/console/overview`);
  await reach(/^Tools$/);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/console/tools`);
  await reach(/^Switch off: upstream:airtable$/);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Switch on: upstream:airtable" }).first().waitFor();
  const off = await app.db.execute(sql`select subject from switches`);
  expect([...off]).toEqual([{ subject: "upstream:airtable" }]);
});

test("without JavaScript every page works: filters, pages, buttons, times", async () => {
  await using world = await openBusyWorld();
  await using window = await openWindow(chrome, "en-GB", { javaScriptEnabled: false });
  const { page } = window;
  await enter(page, world, "operator");
  for (const [name, path] of await everyPage(world)) {
    const answer = await page.goto(`${world.url}/console/${path}`);
    expect([name, answer?.status()]).toEqual([name, 200]);
  }
  await page.goto(`${world.url}/console/calls`);
  await page.getByLabel("tool").fill("who*");
  await page.getByRole("button", { name: "Search" }).click();
  expect(await page.locator("tbody tr").count()).toBe(1);
  await page.goto(`${world.url}/console/alerts`);
  await page.getByRole("button", { name: /^Acknowledge/ }).click();
  await page.getByText("acknowledged by console:ana").waitFor();
  await page.getByRole("button", { name: "Leave" }).click();
  const gone = await page.goto(`${world.url}/console/overview`);
  expect(gone?.status()).toBe(403);
});

test("with JavaScript a new call comes by itself, as text, with its time in the reader's zone", async () => {
  await using world = await openBusyWorld();
  await using window = await openWindow(chrome, "en-GB", {
    timezoneId: "America/Argentina/Buenos_Aires",
  });
  const { page } = window;
  await enter(page, world, "operator");
  await page.goto(`${world.url}/console/calls`);
  const before = await page.locator("tbody tr").count();
  const name = "<b>bold</b>";
  await (await post(`${world.url}/mcp/mercadolibre`, world.bearer, toolCall(name))).text();
  await page.locator("tbody tr").nth(before).waitFor();
  const [first] = await page.locator("tbody tr").all();
  expect(await first?.textContent()).toContain(name);
  const time = first?.locator("time");
  const [shown, exact] = [await time?.textContent(), await time?.getAttribute("title")];
  const hour = (new Date(exact ?? "").getUTCHours() + 21) % 24;
  expect(shown).toMatch(new RegExp(`\\b${String(hour).padStart(2, "0")}:`));
  expect(window.complaints).toEqual([]);
});
