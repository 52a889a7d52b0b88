import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import {
  allowAtProvider,
  arrived,
  connect,
  expectLocked,
  expectQuiet,
  openAgent,
  openShiftedGateway,
  tokensOf,
  whoAmI,
} from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
});
afterAll(() => chrome.close());

const allowing = (page: Page) => page.getByRole("button", { name: "Permitir", exact: true });
const refusing = (page: Page) => page.getByRole("button", { name: "No permitir", exact: true });
const asking = (page: Page, name = "Test agent") =>
  page.getByRole("heading", { level: 1, name: `${name} quiere usar Mercado Libre`, exact: true });

test("who is not signed in signs in on the way, allows, and the agent's token calls a tool", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await page.goto(agent.askAt(world.url, { state: "a b&c=ñ" }));
  await asking(page).waitFor();
  await page.getByText("nadie lo ha verificado").waitFor();
  await page.getByText(`La respuesta va a ${new URL(agent.redirectUri).hostname}`).waitFor();
  await page.getByText("Es un programa de este equipo").waitFor();
  expect(await page.getByRole("button").count()).toBe(0);
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);

  await asking(page).waitFor();
  expect(page.url()).toBe(agent.askAt(world.url, { state: "a b&c=ñ" }));
  expect(await page.getByRole("listitem").count()).toBe(3);
  expect(await page.getByRole("radio").count()).toBe(1);
  expect(await page.getByRole("radio", { name: "Mercado Libre TIENDA_DEMO" }).isChecked()).toBe(
    true,
  );
  expect(agent.answers).toEqual([]);
  await allowing(page).click();

  const answer = await arrived(page, agent);
  expect([...answer.keys()].toSorted()).toEqual(["code", "iss", "state"]);
  expect(answer.get("state")).toBe("a b&c=ñ");
  expect(answer.get("iss")).toBe(world.url);
  expect(agent.answers).toHaveLength(1);
  expect(agent.referrers).toEqual([null]);
  const { access_token } = await tokensOf(world.url, agent, answer);
  const called = await whoAmI(world.url, access_token);
  expect(called).toStartWith("200 ");
  expect(called).toContain("TIENDA_DEMO");
  expectQuiet(window);
});

test("a person who says no sends the agent away with access_denied and no permission", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  await page.goto(agent.askAt(world.url));
  await refusing(page).click();
  const answer = await arrived(page, agent);
  expect(answer.get("error")).toBe("access_denied");
  expect(answer.get("state")).toBe("s1");
  expect(answer.get("iss")).toBe(world.url);
  expect(answer.has("code")).toBe(false);
  await page.goto(`${world.url}/`);
  await page.getByText("Ningún agente tiene permiso todavía").waitFor();
  await page.goto(agent.askAt(world.url));
  await asking(page).waitFor();
  expectQuiet(window);
});

test("a person who declines at the provider is told so and can still go on to the agent's question", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await page.goto(agent.askAt(world.url));
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await page.getByRole("button", { name: "No permitir" }).click();
  await page.getByText("No autorizaste la conexión con Mercado Libre").waitFor();
  await page.getByRole("link", { name: "Empezar de nuevo" }).click();
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);
  await allowing(page).click();
  expect((await arrived(page, agent)).has("code")).toBe(true);
  expectQuiet(window);
});

test("a page of less than 15 minutes counts, an older one is refused with words and sends nothing", async () => {
  await using world = await openWorld();
  await using gateway = await openShiftedGateway(world);
  await using agent = await openAgent(gateway.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, gateway.url);
  await page.goto(agent.askAt(gateway.url));
  await asking(page).waitFor();
  gateway.putForward(14.8);
  await allowing(page).click();
  expect((await arrived(page, agent)).has("code")).toBe(true);

  await page.goto(agent.askAt(gateway.url, { prompt: "consent" }));
  await asking(page).waitFor();
  gateway.putForward(15.1);
  const refused = page.waitForResponse(`${gateway.url}/authorize`);
  await allowing(page).click();
  expect((await refused).status()).toBe(403);
  await page.getByText("Esta página tenía más de 15 minutos").waitFor();
  await page.getByText("consent_expired").waitFor();
  expect(agent.answers).toHaveLength(1);
  expectQuiet(window);
});

test("an agent that was allowed before is answered at once, unless it asks for the question or for more", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  const narrow = { scope: "mcp:read" };
  await page.goto(agent.askAt(world.url, narrow));
  await asking(page).waitFor();
  await page.getByText("ver qué herramientas").waitFor();
  expect(await page.getByRole("listitem").count()).toBe(1);
  await allowing(page).click();
  const first = await arrived(page, agent);

  await page.goto(agent.askAt(world.url, { ...narrow, state: "s2" }));
  const second = await arrived(page, agent);
  expect(second.get("state")).toBe("s2");
  expect(second.get("code")).not.toBe(first.get("code"));
  const { access_token, scope } = await tokensOf(world.url, agent, second);
  expect(scope).toBe("mcp:read");
  expect(await whoAmI(world.url, access_token)).toStartWith("403 ");

  await page.goto(agent.askAt(world.url, { ...narrow, prompt: "consent" }));
  await asking(page).waitFor();
  await page.goto(agent.askAt(world.url, { scope: "mcp:read mcp:call" }));
  await asking(page).waitFor();
  expect(await page.getByRole("listitem").count()).toBe(2);
  expect(agent.answers).toHaveLength(2);
  expectQuiet(window);
});

test("from the question a second account is connected, and the agent gets the one that was chosen", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  await page.goto(agent.askAt(world.url));
  await page.getByRole("link", { name: "Conectar otra cuenta de Mercado Libre" }).click();
  await allowAtProvider(page, "LOJA_EXEMPLO");
  await asking(page).waitFor();
  expect(page.url()).toBe(agent.askAt(world.url));
  expect(await page.getByRole("radio").count()).toBe(2);
  expect(await page.getByRole("radio", { checked: true }).count()).toBe(1);

  for (const [name, other] of [
    ["LOJA_EXEMPLO", "TIENDA_DEMO"],
    ["TIENDA_DEMO", "LOJA_EXEMPLO"],
  ] as const) {
    await page.goto(agent.askAt(world.url, { prompt: "select_account" }));
    await page.getByRole("radio", { name: new RegExp(name) }).check();
    await allowing(page).click();
    const { access_token } = await tokensOf(world.url, agent, await arrived(page, agent));
    const called = await whoAmI(world.url, access_token);
    expect(called).toContain(name);
    expect(called).not.toContain(other);
  }
  expectQuiet(window);
});

test("who declines a second account at the provider and tries again is still the same person", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  await page.goto(agent.askAt(world.url));
  await page.getByRole("link", { name: "Conectar otra cuenta de Mercado Libre" }).click();
  await page.getByRole("button", { name: "No permitir" }).click();
  await page.getByRole("link", { name: "Empezar de nuevo" }).click();
  await page.getByRole("link", { name: "Conectar otra cuenta de Mercado Libre" }).click();
  await allowAtProvider(page, "LOJA_EXEMPLO");
  await asking(page).waitFor();
  expect(await page.getByRole("radio").count()).toBe(2);
});

test("the whole way works without JavaScript", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR", { javaScriptEnabled: false });
  const { page } = window;
  await page.goto(agent.askAt(world.url));
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);
  await page.getByRole("link", { name: "Conectar otra cuenta de Mercado Libre" }).click();
  await allowAtProvider(page, "LOJA_EXEMPLO");
  await page.getByRole("radio", { name: /LOJA_EXEMPLO/ }).check();
  await allowing(page).click();
  const { access_token } = await tokensOf(world.url, agent, await arrived(page, agent));
  expect(await whoAmI(world.url, access_token)).toContain("LOJA_EXEMPLO");
  expectQuiet(window);
});

test("the keyboard alone goes through the page in reading order, sees where it is, and allows", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await page.goto(agent.askAt(world.url));
  await page.keyboard.press("Tab");
  expect(await focused(page)).toEqual({ name: "Continuar con Mercado Libre", isVisible: true });
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Permitir como TIENDA_DEMO" }).press("Space");
  await page.getByRole("link", { name: "Conectar otra cuenta de Mercado Libre" }).press("Enter");
  await page.getByRole("button", { name: "Permitir como LOJA_EXEMPLO" }).press("Enter");
  await asking(page).waitFor();

  await page.keyboard.press("Tab");
  expect(await focused(page)).toEqual({
    name: "Solo herramientas que dicen que no cambian nada",
    isVisible: true,
  });
  await page.keyboard.press("Tab");
  const first = await focused(page);
  expect(first).toEqual({
    name: expect.stringMatching(/^Mercado Libre (TIENDA|LOJA)/),
    isVisible: true,
  });
  await page.keyboard.press("ArrowDown");
  const second = await focused(page);
  expect(second.isVisible).toBe(true);
  expect([first.name, second.name].toSorted()).toEqual([
    "Mercado Libre LOJA_EXEMPLO (MLB)",
    "Mercado Libre TIENDA_DEMO (MLA)",
  ]);
  for (const name of ["Conectar otra cuenta de Mercado Libre", "No permitir", "Permitir"]) {
    await page.keyboard.press("Tab");
    expect(await focused(page)).toEqual({ name, isVisible: true });
  }
  await page.keyboard.press("Space");
  const { access_token } = await tokensOf(world.url, agent, await arrived(page, agent));
  const chosen = /\w+_\w+/.exec(second.name)?.[0] ?? "";
  expect(await whoAmI(world.url, access_token)).toContain(chosen);
  expectQuiet(window);
});

/** What the keyboard is at, and whether a person can see that: on the screen, inside a ring. */
function focused(page: Page): Promise<{ name: string; isVisible: boolean }> {
  return page.evaluate(() => {
    const at = document.activeElement;
    if (!(at instanceof HTMLElement)) return { name: "", isVisible: false };
    const named = at instanceof HTMLInputElement ? (at.labels?.[0] ?? at) : at;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    const { top, bottom, width } = at.getBoundingClientRect();
    const isOnScreen = top >= 0 && bottom <= innerHeight && width > 0;
    return {
      name: named.innerText.trim(),
      isVisible: isOnScreen && outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2,
    };
  });
}

const hostile = `<script>alert(1)</script>\u202Egpj.exe\u2066 <img src=x onerror=alert(2)>`;

test("a name that is markup or turns the text around is shown as plain text, everywhere", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url, { name: hostile });
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  let dialogs = 0;
  page.on("dialog", (dialog) => {
    dialogs += 1;
    void dialog.dismiss();
  });
  const shown = "<script>alert(1)</script> gpj.exe <img src=x onerror=alert(2)>";
  await page.goto(agent.askAt(world.url));
  await asking(page, shown).waitFor();
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);
  await asking(page, shown).waitFor();
  expect(await page.title()).toStartWith(`${shown} quiere usar`);
  expect(await page.content()).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
  expect(await page.locator("script, img").count()).toBe(0);
  await allowing(page).click();
  await tokensOf(world.url, agent, await arrived(page, agent));
  await page.goto(`${world.url}/`);
  await page.getByText(shown).waitFor();
  expect(await page.locator("script, img").count()).toBe(0);
  expect(dialogs).toBe(0);
  expectQuiet(window);
});

test("the pages on the way are locked and tell nobody where their reader comes from", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await expectLocked(page, await page.goto(agent.askAt(world.url)), "no-referrer");
  await connect(page, world.url);
  const consent = await page.goto(agent.askAt(world.url));
  await expectLocked(page, consent, "no-referrer");
  const policy = (await consent?.headerValue("content-security-policy")) ?? "";
  const [own, ...others] = /form-action ([^;]*)/.exec(policy)?.[1]?.split(" ") ?? [];
  expect(own).toBe("'self'");
  expect([[new URL(agent.redirectUri).origin], ["http:"], ["http:", "https:"]]).toContainEqual(
    others,
  );
});

test("a request that cannot be trusted is explained here and sent nowhere", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  const elsewhere = await page.goto(
    agent.askAt(world.url, { redirect_uri: `${agent.redirectUri}/elsewhere` }),
  );
  expect(elsewhere?.status()).toBe(400);
  await page.getByText("a una dirección que no había registrado").waitFor();
  const unknown = await page.goto(agent.askAt(world.url, { client_id: "agent_nobody" }));
  expect(unknown?.status()).toBe(400);
  await page.getByText("no se ha registrado en este servicio").waitFor();
  expect(agent.answers).toEqual([]);
  expectQuiet(window);
});

const callbacks = [
  { what: "localhost", options: { host: "localhost" } },
  { what: "an IPv6 address of this machine", options: { host: "[::1]" } },
];

test.each(callbacks)("the answer reaches an agent that listens at $what", async ({ options }) => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url, options);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  await page.goto(agent.askAt(world.url));
  await allowing(page).click();
  expect((await arrived(page, agent)).has("code")).toBe(true);
  expect(window.complaints).toEqual([]);
});

test("an agent on this machine may lead the browser on to a page of its own elsewhere", async () => {
  await using world = await openWorld();
  await using site = await openAgent(world.url);
  await using agent = await openAgent(world.url, { onward: site.redirectUri });
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  await page.goto(agent.askAt(world.url));
  await allowing(page).click();
  await arrived(page, site);
  expect(agent.answers).toHaveLength(1);
  expect(window.complaints).toEqual([]);
});
