import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { AxeResults } from "axe-core";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { createOperatorLink } from "#src/people/operators.ts";
import { saveDefinitions } from "#src/policy/tools/store.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import { allowAtProvider, arrived, openAgent, openDevice, tokensOf } from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
  mkdirSync(screenshots, { recursive: true });
});
afterAll(() => chrome.close());

const screenshots = join(import.meta.dir, "../../dist/screenshots");
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** The link that an agent is given for a call that waits for its person. */
async function askedFor(url: string, bearer: string): Promise<string> {
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  const args = { item_id: "MLA1001", reason: "sold out", pictures: [1, 2, { main: true }] };
  const answer = await post(`${url}/mcp`, bearer, toolCall("close_listing", args));
  return /http[^\s"\\]+\/approvals\/[0-9a-f-]{36}/.exec(await answer.text())?.[0] ?? "";
}

/** The operator's link to a definition that is held back. */
async function heldFor({ app, url }: World): Promise<string> {
  const definition = JSON.stringify({ name: "list_orders", description: "First read".repeat(40) });
  const changed = {
    name: "list_orders",
    hash: "0".repeat(64),
    definition,
    nature: "reading" as const,
  };
  const list = {
    upstream: "mercadolibre",
    definitions: [changed],
    isLast: true,
    isTrusting: false,
  };
  await saveDefinitions(app.db, list);
  return (await createOperatorLink({ ...app, publicUrl: url }, { page: "review" })).url;
}

/** Every page that people see, one after the other; `look` is called at each with its name. */
async function visitEveryPage(
  world: World,
  page: Page,
  look: (name: string) => Promise<void>,
): Promise<void> {
  const { url } = world;
  await using agent = await openAgent(url, { name: "Claude Code" });
  const device = await openDevice(url, "Codex CLI");
  const second = await openDevice(url, "Codex CLI");
  const at = async (address: string, name: string) => {
    await page.goto(address);
    await look(name);
  };
  await at(`${url}/`, "home");
  await at(agent.askAt(url), "connect");
  await at(device.wholeAddress, "device-connect");
  await at(`${url}/device`, "device-code");
  await at(agent.askAt(url, { client_id: "agent_nobody" }), "failure");
  await page.goto(agent.askAt(url));
  for (const seller of ["TIENDA_DEMO", "LOJA_EXEMPLO"] as const) {
    await page.locator("a[href^='/auth/authorize?provider=mercadolibre']").click();
    await allowAtProvider(page, seller);
    await page.getByRole("radio").first().waitFor();
  }
  await look("consent");
  await at(`${url}/`, "home-no-agents");
  await page.goto(agent.askAt(url));
  await page.locator("button[value=allow]").click();
  const tokens = await tokensOf(url, agent, await arrived(page, agent));
  const link = await askedFor(url, tokens.access_token);
  await at(`${url}/`, "home-waiting");
  await at(link, "approval");
  await page.locator("button[value=always]").click();
  await look("approval-done");
  await at(`${url}/`, "home-allowed");
  await at(device.wholeAddress, "device-consent");
  await page.locator("button[value=allow]").click();
  await page.waitForURL(`${url}/device/decision`);
  await look("device-done");
  await device.poll();
  await page.goto(second.wholeAddress);
  await page.locator("button[value=deny]").click();
  await page.waitForURL(`${url}/device/decision`);
  await look("device-denied");
  await page.goto(`${url}/`);
  await page.locator("form[action='/sessions'] button").first().click();
  await page.locator("output").waitFor();
  await look("bearer");
  for (const summary of await page.locator("summary").all()) await summary.click();
  await look("bearer-open");
  await at(`${url}/`, "home-signed-in");
  await page.locator("a[href$='/disconnect']").first().click();
  await page.waitForURL(/\/disconnect$/);
  await look("disconnect");
  await page.locator("main form button").click();
  await page.locator("main form").waitFor({ state: "detached" });
  await look("disconnected");
  await at(`${url}/`, "home-disconnected");
  await at(await heldFor(world), "review-door");
  await page.locator("main form button").click();
  await page.waitForURL(`${url}/review`);
  await look("review");
  await page.locator("button[value=approved]").click();
  await page.locator("main form").waitFor({ state: "detached" });
  await look("review-done");
}

/** How many pixels stick out to the right of the window. */
function sticksOut(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

test("no page has a serious fault that axe knows, in the light or in the dark", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR", { bypassCSP: true });
  const { page } = window;
  const found: string[] = [];
  const seen: string[] = [];
  const rules: string[] = [];
  await visitEveryPage(world, page, async (name) => {
    await page.evaluate(axe);
    // What the browser paints anyway; axe takes it for white unless it is said.
    await page.addStyleTag({ content: "html{background:Canvas}" });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const results = await page.evaluate<AxeResults>("axe.run(document)");
      const grave = results.violations.filter(
        ({ impact }) => impact === "serious" || impact === "critical",
      );
      for (const { id, nodes } of [...grave, ...unsure(results)]) {
        const places = nodes.map(({ html, failureSummary = "" }) => `${html}\n${failureSummary}`);
        found.push(`${name}, ${colorScheme}: ${id} at\n${places.join("\n")}`);
      }
      rules.push(...results.passes.map(({ id }) => id));
    }
    seen.push(name);
  });
  expect(seen).toHaveLength(23);
  expect(rules).toContain("color-contrast");
  expect(rules).toContain("label");
  expect(found).toEqual([]);
});

/** Axe cannot say whether a text can be read: for pages without pictures that is a fault of its own. */
function unsure({ incomplete }: AxeResults): AxeResults["incomplete"] {
  return incomplete.filter(({ id }) => id === "color-contrast");
}

const views = [
  { view: "es", locale: "es-AR", options: {} },
  { view: "en", locale: "en-GB", options: {} },
  { view: "es-dark", locale: "es-AR", options: { colorScheme: "dark" as const } },
  { view: "es-narrow", locale: "es-AR", options: { viewport: { width: 360, height: 740 } } },
];

test.each(views)("every page fits its window: $view", async ({ view, locale, options }) => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, locale, options);
  const { page } = window;
  const wide: string[] = [];
  await visitEveryPage(world, page, async (name) => {
    await page.screenshot({ path: join(screenshots, `${name}-${view}.png`), fullPage: true });
    if ((await sticksOut(page)) > 0) wide.push(name);
  });
  expect(wide).toEqual([]);
  expect(window.complaints).toEqual([]);
});

test("a name without a single space does not make any page wider than a telephone", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url, { name: "W".repeat(80) });
  await using window = await openWindow(chrome, "es-AR", { viewport: { width: 360, height: 740 } });
  const { page } = window;
  const wide: string[] = [];
  const look = async (name: string) => {
    const path = join(screenshots, `long-name-${name}-es-narrow.png`);
    await page.screenshot({ path, fullPage: true });
    if ((await sticksOut(page)) > 0) wide.push(name);
  };
  await page.goto(agent.askAt(world.url));
  await look("connect");
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);
  await page.getByRole("radio").waitFor();
  await look("consent");
  await page.getByRole("button", { name: "Permitir", exact: true }).click();
  await tokensOf(world.url, agent, await arrived(page, agent));
  await page.goto(`${world.url}/`);
  await look("home");
  expect(wide).toEqual([]);
});

const languages = [
  {
    locale: "es-AR",
    lang: "es",
    title: "quiere usar Mercado Libre",
    goOn: "Continuar con Mercado Libre",
    it: "Podrá",
    which: "¿Con qué cuenta?",
    scope: "ver qué herramientas, indicaciones y recursos hay",
    allow: "Permitir",
    deny: "No permitir",
    another: "Conectar otra cuenta de Mercado Libre",
    device: "Conectar un dispositivo",
    code: "Código del dispositivo",
    next: "Continuar",
    check: "Permítelo solo si tu propio dispositivo muestra ahora este código:",
    done: "Listo",
    agents: "Agentes con permiso",
  },
  {
    locale: "pt-BR",
    lang: "pt",
    title: "quer usar Mercado Livre",
    goOn: "Continuar com Mercado Livre",
    it: "Poderá",
    which: "Com qual conta?",
    scope: "ver que ferramentas, instruções e recursos existem",
    allow: "Permitir",
    deny: "Não permitir",
    another: "Conectar outra conta do Mercado Livre",
    device: "Conectar um dispositivo",
    code: "Código do dispositivo",
    next: "Continuar",
    check: "Permita só se o seu próprio dispositivo mostra agora este código:",
    done: "Pronto",
    agents: "Agentes com permissão",
  },
  {
    locale: "en-GB",
    lang: "en",
    title: "wants to use Mercado Libre",
    goOn: "Continue with Mercado Libre",
    it: "It will be able to",
    which: "With which account?",
    scope: "see which tools, prompts and resources there are",
    allow: "Allow",
    deny: "Do not allow",
    another: "Connect another Mercado Libre account",
    device: "Connect a device",
    code: "Device code",
    next: "Continue",
    check: "Allow it only if your own device shows this code now:",
    done: "Done",
    agents: "Agents with your permission",
  },
];

test.each(languages)("a browser that speaks $locale reads every page in it", async (words) => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, words.locale);
  const { page } = window;
  const device = await openDevice(world.url);
  const heading = async (name: string) => {
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
    expect(await page.title()).toBe(`${name} · smartdash`);
    expect(await page.locator("html").getAttribute("lang")).toBe(words.lang);
    expect(await page.locator("body").innerText()).not.toMatch(/\{\w+\}|undefined/);
  };
  await page.goto(agent.askAt(world.url));
  await heading(`Test agent ${words.title}`);
  await page.getByRole("link", { name: words.goOn }).click();
  await allowAtProvider(page);
  await heading(`Test agent ${words.title}`);
  await page.getByRole("heading", { level: 2, name: words.it }).waitFor();
  await page.getByRole("group", { name: words.which }).getByRole("radio").waitFor();
  await page.getByText(words.scope).waitFor();
  await page.getByRole("link", { name: words.another }).waitFor();
  await page.getByRole("button", { name: words.deny, exact: true }).waitFor();
  await page.getByRole("button", { name: words.allow, exact: true }).click();
  await arrived(page, agent);

  await page.goto(device.address);
  await heading(words.device);
  await page.getByRole("textbox", { name: words.code }).fill(device.userCode);
  await page.getByRole("button", { name: words.next, exact: true }).click();
  await heading(`Terminal ${words.title}`);
  await page.getByText(`${words.check} ${device.userCode}`).waitFor();
  await page.getByRole("button", { name: words.allow, exact: true }).click();
  await heading(words.done);
  await page.goto(`${world.url}/`);
  await page.getByRole("heading", { name: words.agents }).waitFor();
});
