import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import {
  allowAtProvider,
  connect,
  expectLocked,
  expectQuiet,
  openDevice,
  openShiftedGateway,
  whoAmI,
} from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
});
afterAll(() => chrome.close());

const box = (page: Page) => page.getByRole("textbox", { name: "Código del dispositivo" });
const asking = (page: Page, name = "Terminal") =>
  page.getByRole("heading", { level: 1, name: `${name} quiere usar Mercado Libre`, exact: true });

async function typeCode(page: Page, address: string, code: string): Promise<void> {
  await page.goto(address);
  await box(page).fill(code);
  await page.getByRole("button", { name: "Continuar", exact: true }).click();
}

/** As somebody copies it from another screen: `wdjb mjht`. */
const byHand = (code: string) => code.toLowerCase().replace("-", "  ");

test("a device waits while its person types the code by hand, signs in and allows, and then gets tokens", async () => {
  await using world = await openWorld();
  await using gateway = await openShiftedGateway(world);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  const device = await openDevice(gateway.url);
  expect(device.userCode).toMatch(/^[A-Z]{4}-[A-Z]{4}$/);
  expect(await device.poll()).toMatchObject({ error: "authorization_pending" });

  await typeCode(page, device.address, byHand(device.userCode));
  await asking(page).waitFor();
  expect(await page.getByText("La respuesta va a").count()).toBe(0);
  await page.getByRole("link", { name: "Continuar con Mercado Libre" }).click();
  await allowAtProvider(page);
  await asking(page).waitFor();
  await page
    .getByText(`Permítelo solo si tu propio dispositivo muestra ahora este código`)
    .waitFor();
  await page.getByText(device.userCode).waitFor();
  gateway.putForward(0.5);
  expect(await device.poll()).toMatchObject({ error: "authorization_pending" });
  await page.getByRole("button", { name: "Permitir", exact: true }).click();
  await page.getByRole("heading", { name: "Listo", exact: true }).waitFor();
  await page.getByText("Terminal quedó conectado. Puedes volver a tu dispositivo.").waitFor();

  gateway.putForward(0.5);
  const { access_token = "", refresh_token } = await device.poll();
  expect(refresh_token).toBeString();
  expect(await whoAmI(gateway.url, access_token)).toContain("TIENDA_DEMO");
  expect(await device.poll()).toMatchObject({ error: "invalid_grant" });
  await page.getByRole("link", { name: "Volver" }).click();
  await page.getByText("Terminal", { exact: true }).waitFor();
  expectQuiet(window);
});

test("a person who says no is told that nothing was given, and the device gets access_denied", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  const device = await openDevice(world.url);
  await page.goto(device.wholeAddress);
  await page.getByText(device.userCode).waitFor();
  await page.getByRole("button", { name: "No permitir", exact: true }).click();
  await page.getByRole("heading", { name: "No se permitió", exact: true }).waitFor();
  await page.getByText("Terminal no recibió nada").waitFor();
  expect(await device.poll()).toMatchObject({ error: "access_denied" });
  await page.goto(`${world.url}/`);
  await page.getByText("Ningún agente tiene permiso todavía").waitFor();
  expectQuiet(window);
});

test("opening the whole address gives nothing by itself: the device still waits", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, world.url);
  const device = await openDevice(world.url);
  await page.goto(device.wholeAddress);
  await page.getByRole("button", { name: "Permitir", exact: true }).waitFor();
  expect(await device.poll()).toMatchObject({ error: "authorization_pending" });
});

test("a code that is wrong, used or too old is refused with words and a way to type another one", async () => {
  await using world = await openWorld();
  await using gateway = await openShiftedGateway(world);
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  await connect(page, gateway.url);
  const refusal = page.getByText("Ese código no existe, ya se usó o tiene más de 15 minutos.");
  const used = await openDevice(gateway.url);
  const old = await openDevice(gateway.url);

  for (const code of ["BCDF-GHJK", "hello", "AEIO-UAEI"]) {
    await typeCode(page, used.address, code);
    await refusal.waitFor();
  }
  await page.getByRole("link", { name: "Empezar de nuevo" }).click();
  await box(page).fill(used.userCode);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "No permitir", exact: true }).click();
  await typeCode(page, used.address, used.userCode);
  await refusal.waitFor();

  await typeCode(page, old.address, old.userCode);
  await asking(page).waitFor();
  gateway.putForward(15.1);
  await page.getByRole("button", { name: "Permitir", exact: true }).click();
  await refusal.waitFor();
  await typeCode(page, old.address, old.userCode);
  await refusal.waitFor();
  await page.getByText("device_code_unknown").waitFor();
  expect(await old.poll()).toMatchObject({ error: "expired_token" });
  expectQuiet(window);
});

test("whoever tries code after code is told to wait", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  const statuses: (number | undefined)[] = [];
  for (let round = 0; round < 12; round += 1) {
    const response = await page.goto(`${world.url}/device?user_code=BCDF-GHJK`);
    statuses.push(response?.status());
  }
  expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 400));
  expect(statuses.at(-1)).toBe(429);
  await page.getByText("Demasiados intentos seguidos. Espera un minuto.").waitFor();
  expectQuiet(window);
});

test("the pages of a device are locked and tell nobody where their reader comes from", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR");
  const { page } = window;
  const device = await openDevice(world.url);
  await expectLocked(page, await page.goto(device.address), "no-referrer");
  await expectLocked(page, await page.goto(device.wholeAddress), "no-referrer");
  await connect(page, world.url);
  const consent = await page.goto(device.wholeAddress);
  await expectLocked(page, consent, "no-referrer");
  const policy = await consent?.headerValue("content-security-policy");
  expect(policy).toContain("form-action 'self';");
  const done = page.waitForResponse(`${world.url}/device/decision`);
  await page.getByRole("button", { name: "Permitir", exact: true }).click();
  await expectLocked(page, await done, "no-referrer");
});

test("the whole way of a device works without JavaScript and with the keyboard alone", async () => {
  await using world = await openWorld();
  await using window = await openWindow(chrome, "es-AR", { javaScriptEnabled: false });
  const { page } = window;
  const device = await openDevice(world.url);
  await page.goto(device.address);
  await page.keyboard.press("Tab");
  await page.keyboard.type(device.userCode);
  await page.keyboard.press("Enter");
  await asking(page).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await allowAtProvider(page);
  await asking(page).waitFor();
  // Reading alone, the account, another account, no, and then yes.
  for (let tab = 0; tab < 5; tab += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Listo", exact: true }).waitFor();
  const { access_token = "" } = await device.poll();
  expect(await whoAmI(world.url, access_token)).toContain("TIENDA_DEMO");
  expectQuiet(window);
});
