import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import { connect, expectLocked, expectQuiet } from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
});
afterAll(() => chrome.close());

const clients = ["Antigravity", "Claude Code", "Cursor", "VS Code", "Codex", "Gemini CLI"];

test("a seller connects, gives an agent a session, and ends it again", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await page.goto(`${world.url}/`);
  await page.getByRole("link", { name: "Conectar Mercado Libre" }).click();
  await page.getByRole("button", { name: "Permitir como TIENDA_DEMO" }).click();
  await page.getByRole("heading", { name: "Cuentas conectadas" }).waitFor();
  expect(page.url()).toBe(`${world.url}/`);
  const account = await page.getByRole("listitem").innerText();
  expect(account).toContain("Mercado Libre TIENDA_DEMO (MLA)");
  expect(account).toContain("conectada");

  await page.getByRole("button", { name: /^Crear sesión/ }).click();
  await page.getByRole("heading", { name: "Tu nueva sesión" }).waitFor();
  const bearer = await page.locator("output").innerText();
  expect(bearer).toMatch(/^sd_ses_[\w-]{30,}$/);
  for (const client of clients) await page.getByText(client, { exact: true }).first().waitFor();
  const configurations = await page.locator("pre").allTextContents();
  expect(configurations.length).toBeGreaterThanOrEqual(clients.length);
  for (const text of configurations) {
    expect(text).toContain(bearer);
    expect(text).toContain(`${world.url}/mcp/mercadolibre`);
  }
  const answer = await post(`${world.url}/mcp/mercadolibre`, bearer, toolCall("whoami"));
  expect(await answer.text()).toContain("TIENDA_DEMO");

  await page.getByRole("link", { name: "Volver" }).click();
  await page.getByRole("button", { name: "Terminar" }).click();
  await page.getByRole("heading", { name: "¿Terminar esta sesión?" }).waitFor();
  await page.getByRole("button", { name: "Terminar", exact: true }).click();
  await page.getByText("Ninguna sesión abierta.").waitFor();
  const refused = await post(`${world.url}/mcp/mercadolibre`, bearer, toolCall("whoami"));
  expect(refused.status).toBe(401);
  expectQuiet(window);
});

test("a bearer is shown once: neither loading the page again nor going home shows it", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  await page.getByRole("button", { name: /^Crear sesión/ }).click();
  const bearer = await page.locator("output").innerText();
  await page.reload();
  expect(await page.content()).not.toContain(bearer);
  await page.goto(`${world.url}/`);
  await page.getByRole("button", { name: "Terminar" }).first().waitFor();
  expect(await page.content()).not.toContain("sd_ses_");
  expectQuiet(window);
});

const languages = [
  {
    locale: "es-AR",
    lang: "es",
    title: "Conecta tus cuentas",
    connect: "Conectar Mercado Libre",
    declined: "No autorizaste la conexión con Mercado Libre. No se guardó nada.",
    again: "Empezar de nuevo",
  },
  {
    locale: "pt-BR",
    lang: "pt",
    title: "Conecte suas contas",
    connect: "Conectar Mercado Livre",
    declined: "Você não autorizou a conexão com Mercado Livre. Nada foi salvo.",
    again: "Começar de novo",
  },
  {
    locale: "en-GB",
    lang: "en",
    title: "Connect your accounts",
    connect: "Connect Mercado Libre",
    declined: "You did not allow the connection with Mercado Libre. Nothing was stored.",
    again: "Start again",
  },
];

for (const words of languages) {
  test(`a seller whose browser speaks ${words.locale} declines, is told so in it, and may start again`, async () => {
    await using world = await openWorld();
    await using window = await openWindow(chrome, words.locale);
    const { page } = window;
    await page.goto(`${world.url}/`);
    expect(await page.locator("html").getAttribute("lang")).toBe(words.lang);
    await page.getByRole("heading", { name: words.title }).waitFor();
    await page.getByRole("link", { name: words.connect }).click();
    await page.getByRole("button", { name: "No permitir" }).click();
    await page.getByText(words.declined).waitFor();
    expect(await page.locator("html").getAttribute("lang")).toBe(words.lang);
    await page.getByRole("link", { name: words.again }).click();
    await page.getByRole("button", { name: "Permitir como TIENDA_DEMO" }).click();
    await page.waitForURL(`${world.url}/`);
    expectQuiet(window);
  });
}

test("a callback opened in another browser is refused there and still works where it was begun", async () => {
  await using world = await openWorld();
  await using own = await openWindow(chrome, "es-AR");
  await using other = await openWindow(chrome, "es-AR");
  const callback = await heldCallback(own.page, world.url);
  await other.page.goto(callback);
  await other.page.getByText("Esta conexión se empezó en otro navegador.").waitFor();
  await other.page.goto(`${world.url}/`);
  expect(await other.page.getByRole("heading", { name: "Cuentas conectadas" }).count()).toBe(0);

  await own.page.goto(callback);
  await own.page.getByRole("heading", { name: "Cuentas conectadas" }).waitFor();
  expectQuiet(own);
  expectQuiet(other);
});

test("a callback that is opened a second time says that it was already used", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  const callback = await heldCallback(page, world.url);
  await page.goto(callback);
  await page.getByRole("heading", { name: "Cuentas conectadas" }).waitFor();
  const again = await page.goto(callback);
  expect(again?.status()).toBe(400);
  await page.getByText("ya se usó").waitFor();
  await page.goto(`${world.url}/`);
  await page.getByRole("heading", { name: "Cuentas conectadas" }).waitFor();
  expectQuiet(window);
});

test("going back from the connected account and allowing again connects nothing twice", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await page.goto(`${world.url}/`);
  await page.getByRole("link", { name: "Conectar Mercado Libre" }).click();
  const allow = page.getByRole("button", { name: "Permitir como TIENDA_DEMO" });
  await allow.click();
  await page.getByRole("heading", { name: "Cuentas conectadas" }).waitFor();
  await page.goBack();
  await allow.click();
  await page.getByText("ya se usó").waitFor();
  await page.goto(`${world.url}/`);
  expect(await page.getByText("conectada", { exact: true }).count()).toBe(1);
});

test("every page forbids scripts, frames and everything from elsewhere, and is still dressed", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  const home = await page.goto(`${world.url}/`);
  await expectLocked(page, home);
  await connect(page, world.url);
  const bearerPage = page.waitForResponse(`${world.url}/sessions`);
  await page.getByRole("button", { name: /^Crear sesión/ }).click();
  await expectLocked(page, await bearerPage);
  const missing = await page.goto(`${world.url}/no-such-page`);
  expect(missing?.status()).toBe(404);
  await expectLocked(page, missing);
});

/** Begins at the gateway and allows at the provider, without opening the callback; the result is its URL. */
async function heldCallback(page: Page, url: string): Promise<string> {
  await page.goto(`${url}/auth/authorize?provider=mercadolibre`);
  await page.getByRole("button", { name: "Permitir como TIENDA_DEMO" }).waitFor();
  // A browser cannot be kept from following a redirect: the decision is posted beside the page.
  const decided = await page.request.post(page.url(), {
    form: { seller: "100200300" },
    maxRedirects: 0,
  });
  const location = decided.headers()["location"] ?? "";
  expect(new URL(location).pathname).toBe("/auth/callback");
  return location;
}
