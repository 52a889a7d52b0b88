import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { AxeResults } from "axe-core";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { ownerOf, seedCalls, seedCounts } from "#test/pages/seed.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { isLong } from "#test/support/rounds.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import { arrived, connect, expectLocked, expectQuiet, openAgent, tokensOf } from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
  mkdirSync(screenshots, { recursive: true });
});
afterAll(() => chrome.close());

const screenshots = join(import.meta.dir, "../../dist/screenshots");
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** Somebody whose agent has been busy for two weeks. Returns the address of its permission. */
async function busyPerson(world: World, page: Page): Promise<string> {
  const { url, app } = world;
  await using agent = await openAgent(url, { name: "Claude Code" });
  await connect(page, url);
  await page.goto(agent.askAt(url));
  await page.locator("button[value=allow]").click();
  const { access_token } = await tokensOf(url, agent, await arrived(page, agent));
  await (
    await post(`${url}/mcp`, access_token, { jsonrpc: "2.0", id: 1, method: "tools/list" })
  ).text();
  await (
    await post(`${url}/mcp`, access_token, toolCall("close_listing", { item_id: "MLA1" }))
  ).text();
  const { grantId, personId, accountId } = await ownerOf(world);
  const days = Array.from({ length: 14 }, (_, day) => [(day * 37) % 60, day % 4] as const);
  await seedCounts(world, { caller: `grant:${grantId}`, account: accountId }, days.slice(0, -1));
  await page.goto(`${url}/`);
  await page.locator("form[action='/sessions'] button").click();
  await page.locator("output").waitFor();
  const now = app.now().getTime();
  const base = { personId, accountId, grantId };
  const kinds = [
    { name: "list_orders" },
    { name: "get_item", guard: "approved_once" },
    { name: "search_items", guard: "rate_limited", failure: "rate_limited", status: 429 },
    { name: "list_orders", failure: "upstream_timeout", status: 504, upstreamStatus: null },
    { rpcMethod: "tools/list", name: null },
    { upstream: "mercadolibre-shop", name: "update_listing_price" },
    { name: "a_tool_with_a_name_that_goes_on_and_on_without_any_space_in_it", status: 404 },
  ];
  const calls = Array.from({ length: 120 }, (_, index) => ({
    ...base,
    ...kinds[index % kinds.length],
    at: new Date(now - index * 2_700_000 - 7_200_000),
  }));
  await seedCalls(world, calls);
  return `${url}/grants/${grantId}`;
}

const views = [
  { view: "wide", locale: "es-AR", options: {} },
  { view: "dark", locale: "en-GB", options: { colorScheme: "dark" as const } },
  { view: "narrow", locale: "pt-BR", options: { viewport: { width: 360, height: 740 } } },
];

test.each(views)("a busy person's pages fit and have no serious fault: $view", async (asked) => {
  const { view, locale, options } = asked;
  await using world = await openWorld();
  await using window = await openWindow(chrome, locale, { ...options, bypassCSP: true });
  const { page } = window;
  const permission = await busyPerson(world, page);
  const faults: string[] = [];
  const look = async (name: string, address: string) => {
    await page.goto(address);
    const path = join(screenshots, `activity-${name}-${view}.png`);
    await page.screenshot({ path, fullPage: name !== "list" });
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (excess > 0) faults.push(`${name} sticks out by ${excess} pixels`);
    expect(await page.locator("body").innerText()).not.toMatch(/\{\w+\}|undefined|null/);
    // The gate asks axe in the dark and on a telephone, where most can go wrong.
    if (!isLong && view === "wide") return;
    await page.evaluate(axe);
    const { violations } = await page.evaluate<AxeResults>("axe.run(document)");
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    faults.push(...grave.map(({ id, nodes }) => `${name}: ${id} at ${nodes[0]?.html}`));
  };
  await look("home", `${world.url}/`);
  await look("list", `${world.url}/activity`);
  await look("whole", `${world.url}/activity?all=1&outcome=done`);
  await look("nothing", `${world.url}/activity?day=2020-01-01`);
  await look("permission", permission);
  await look("end", `${permission}/end`);
  expect(faults).toEqual([]);
  expect(window.complaints).toEqual([]);
});

test("a person finds a call, takes its tool from the agent, and ends the permission", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "en-GB");
  const { page } = window;
  const permission = await busyPerson(world, page);
  await page.goto(`${world.url}/`);
  await page
    .getByRole("img", { name: /^14 days: [\d,]+ calls, [\d,]+ refused$/ })
    .first()
    .waitFor();
  await page.getByRole("link", { name: "See what your agents used, and when" }).click();
  await page.getByLabel("Outcome").selectOption("refused");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("too many calls in a short time").first().waitFor();
  expect(await page.getByText("answered", { exact: true }).count()).toBe(1);

  await page.goto(permission);
  await page.getByRole("checkbox", { name: /close_listing/ }).uncheck();
  await page.getByRole("button", { name: "Allow only this" }).click();
  await page.getByRole("status").waitFor();
  expect(await page.getByRole("checkbox", { name: /close_listing/ }).count()).toBe(0);

  await page.getByRole("link", { name: "Remove permission" }).click();
  await page.getByRole("heading", { name: "Remove this permission?" }).waitFor();
  await page.getByRole("button", { name: "Remove permission" }).click();
  await page.waitForURL(`${world.url}/`);
  expect(await page.getByRole("button", { name: /^Remove permission/ }).count()).toBe(0);
  expectQuiet(window);
  await expectLocked(page, await page.goto(`${world.url}/activity`));
});
