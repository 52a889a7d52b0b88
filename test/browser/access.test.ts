import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { createInvite } from "#src/people/sign-up.ts";
import { openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import {
  type Agent,
  allowAtProvider,
  arrived,
  connect,
  expectQuiet,
  openAgent,
  tokensOf,
  whoAmI,
} from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
});
afterAll(() => chrome.close());

const accountsHeading = (page: Page) => page.getByRole("heading", { name: "Cuentas conectadas" });
const allowing = (page: Page) => page.getByRole("button", { name: "Permitir", exact: true });

/** The id of the only account of whoever is signed in. */
async function accountIn(page: Page, url: string): Promise<string> {
  await page.goto(`${url}/`);
  const field = page.locator('input[name="account"]');
  expect(await field.count()).toBe(1);
  return await field.inputValue();
}

async function grantTo(agent: Agent, page: Page, url: string): Promise<string> {
  await page.goto(agent.askAt(url));
  await allowing(page).click();
  return (await tokensOf(url, agent, await arrived(page, agent))).access_token;
}

test("where an invitation is needed, the first to use one comes in, and nobody without", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_SIGNUP: "invite" } });
  await using first = await openWindow(chrome, "es-AR");
  await using second = await openWindow(chrome, "es-AR");
  const refusal = "Para entrar por primera vez necesitas una invitación.";

  await first.page.goto(`${world.url}/auth/authorize?provider=mercadolibre`);
  const refused = first.page.waitForResponse((response) =>
    response.url().startsWith(`${world.url}/auth/callback`),
  );
  await allowAtProvider(first.page);
  expect((await refused).status()).toBe(403);
  await first.page.getByText(refusal).waitFor();
  await first.page.goto(`${world.url}/`);
  expect(await accountsHeading(first.page).count()).toBe(0);

  const { url: invitation } = await createInvite({ ...world.app, publicUrl: world.url });
  for (const { page } of [first, second]) {
    await page.goto(invitation);
    expect(page.url()).toBe(`${world.url}/`);
    await page.getByRole("link", { name: "Conectar Mercado Libre" }).click();
    await page.getByRole("button", { name: "Permitir como TIENDA_DEMO" }).waitFor();
  }
  await allowAtProvider(first.page);
  await accountsHeading(first.page).waitFor();
  await allowAtProvider(second.page, "LOJA_EXEMPLO");
  await second.page.getByText(refusal).waitFor();
  await second.page.goto(`${world.url}/`);
  expect(await accountsHeading(second.page).count()).toBe(0);

  const again = await second.page.goto(invitation);
  expect(again?.status()).toBe(400);
  await second.page.getByText("Esta invitación no existe, ya se usó").waitFor();
  expectQuiet(first);
  expectQuiet(second);
});

test("who came in with an invitation signs in again without one, in another browser too", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_SIGNUP: "invite" } });
  await using first = await openWindow(chrome, "es-AR");
  await using other = await openWindow(chrome, "es-AR");
  await first.page.goto((await createInvite({ ...world.app, publicUrl: world.url })).url);
  await connect(first.page, world.url);
  await first.page.getByRole("button", { name: "Salir" }).click();
  await first.page.getByRole("link", { name: "Conectar Mercado Libre" }).waitFor();
  expect(await accountsHeading(first.page).count()).toBe(0);
  await connect(first.page, world.url);
  await connect(other.page, world.url);
  await accountsHeading(other.page).waitFor();
  expectQuiet(first);
});

test("an agent's person is let in by an invitation that their browser holds", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_SIGNUP: "invite" } });
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await page.goto((await createInvite({ ...world.app, publicUrl: world.url })).url);
  await page.goto(agent.askAt(world.url));
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);
  await allowing(page).click();
  const { access_token } = await tokensOf(world.url, agent, await arrived(page, agent));
  expect(await whoAmI(world.url, access_token)).toContain("TIENDA_DEMO");
  expectQuiet(window);
});

test("a link to reconnect one's account is refused where another person is signed in", async () => {
  await using world = await openWorld();
  await using owner = await openWindow(chrome, "es-AR");
  await using other = await openWindow(chrome, "es-AR");
  await connect(owner.page, world.url);
  await connect(other.page, world.url, "LOJA_EXEMPLO");
  const link = `${world.url}/accounts/${await accountIn(owner.page, world.url)}/reconnect`;

  const refused = await other.page.goto(link);
  expect(refused?.status()).toBe(403);
  await other.page.getByText("Este enlace es de otra persona").waitFor();
  await other.page.getByText("No se cambió nada").waitFor();
  await other.page.goto(`${world.url}/`);
  await other.page.getByText("Mercado Libre LOJA_EXEMPLO (MLB)").waitFor();
  expect(await other.page.getByText("TIENDA_DEMO").count()).toBe(0);

  await owner.page.goto(link);
  await allowAtProvider(owner.page);
  await owner.page.waitForURL(`${world.url}/`);
  await owner.page.getByText("Mercado Libre TIENDA_DEMO (MLA)").waitFor();
  expect(await owner.page.getByText("conectada", { exact: true }).count()).toBe(1);
  expectQuiet(owner);
  expectQuiet(other);
});

test("a reconnect link in a browser of nobody is no way in for another seller", async () => {
  await using world = await openWorld();
  await using owner = await openWindow(chrome, "es-AR");
  await using other = await openWindow(chrome, "es-AR");
  await connect(owner.page, world.url);
  const link = `${world.url}/accounts/${await accountIn(owner.page, world.url)}/reconnect`;
  await other.page.goto(link);
  await allowAtProvider(other.page, "LOJA_EXEMPLO");
  await other.page.getByText("Entraste en Mercado Libre con otra cuenta").waitFor();
  await other.page.goto(`${world.url}/`);
  expect(await accountsHeading(other.page).count()).toBe(0);
  const missing = await other.page.goto(
    `${world.url}/accounts/00000000-0000-7000-8000-000000000000/reconnect`,
  );
  expect(missing?.status()).toBe(404);
  await other.page.getByText("Esta página no existe.").waitFor();
  expectQuiet(other);
});

/** What another person's form is made of, put into the form that this browser shows. */
const swaps = [
  { fields: ["form_token", "consent", "query"], words: "La página era demasiado antigua" },
  { fields: ["consent"], words: "Esta página tenía más de 15 minutos o era de otra petición" },
  { fields: ["query"], words: "Esta página tenía más de 15 minutos o era de otra petición" },
  { fields: ["account"], words: "Esa cuenta ya no está conectada" },
];

test("parts of one person's form are refused from another person's browser", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using theirs = await openWindow(chrome, "es-AR");
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(theirs.page, world.url);
  await connect(page, world.url, "LOJA_EXEMPLO");
  await theirs.page.goto(agent.askAt(world.url, { state: "theirs" }));
  for (const { fields, words } of swaps) {
    await page.goto(agent.askAt(world.url));
    for (const name of fields) {
      const value = await theirs.page.locator(`input[name="${name}"]`).inputValue();
      const field = page.locator(`input[name="${name}"]`);
      expect(await field.inputValue()).not.toBe(value);
      await field.evaluate((input: HTMLInputElement, text) => void (input.value = text), value);
    }
    await allowing(page).click();
    await page.getByText(words).waitFor();
  }
  expect(agent.answers).toEqual([]);
  expectQuiet(window);

  await allowing(theirs.page).click();
  expect((await arrived(theirs.page, agent)).get("state")).toBe("theirs");
});

test("who signed out meanwhile cannot answer from a page that was left open", async () => {
  await using world = await openWorld();
  await using agent = await openAgent(world.url);
  await using window = await openWindow(chrome, "es-AR");
  const { page, context } = window;
  await connect(page, world.url);
  await page.goto(agent.askAt(world.url));
  const home = await context.newPage();
  await home.goto(`${world.url}/`);
  await home.getByRole("button", { name: "Salir" }).click();
  await home.waitForURL(`${world.url}/`);
  await allowing(page).click();
  await page.getByText("Ya no hay una sesión abierta en este navegador.").waitFor();
  expect(agent.answers).toEqual([]);
});

test("the person's page names each agent with what it may do, and ends one without the other", async () => {
  await using world = await openWorld();
  await using ended = await openAgent(world.url, { name: "Old helper" });
  await using kept = await openAgent(world.url, { name: "New helper" });
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  const endedToken = await grantTo(ended, page, world.url);
  const keptToken = await grantTo(kept, page, world.url);
  await page.goto(`${world.url}/`);
  const row = page.getByRole("listitem").filter({ hasText: "Old helper" });
  const text = await row.innerText();
  expect(text).toContain(new URL(ended.redirectUri).hostname);
  expect(text).toContain("Mercado Libre TIENDA_DEMO (MLA)");
  for (const scope of ["ver qué herramientas", "usar las herramientas", "leer recursos"]) {
    expect(text).toContain(scope);
  }
  expect(await whoAmI(world.url, endedToken)).toStartWith("200 ");

  await row.getByRole("button", { name: "Quitar permiso: Old helper" }).click();
  await page.getByText("Old helper deja de poder usar Mercado Libre TIENDA_DEMO").waitFor();
  expect(await whoAmI(world.url, endedToken)).toStartWith("200 ");
  await page.getByRole("button", { name: "Quitar permiso" }).click();
  await page.waitForURL(`${world.url}/`);
  expect(await row.count()).toBe(0);
  expect(await whoAmI(world.url, endedToken)).toStartWith("401 ");
  expect(await whoAmI(world.url, keptToken)).toStartWith("200 ");
  await page.getByRole("listitem").filter({ hasText: "New helper" }).waitFor();

  await page.goto(ended.askAt(world.url));
  await allowing(page).waitFor();
  expectQuiet(window);
});
