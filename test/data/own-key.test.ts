import { expect, setDefaultTimeout, test } from "bun:test";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type OpenApp, openApp } from "#src/app.ts";
import { readKey } from "#src/crypto/seal.ts";
import { Secret } from "#src/crypto/secret.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { testDatabase } from "#test/support/database.ts";
import { type TemporaryHome, temporaryHome } from "./home.ts";
import { rejection } from "./rejection.ts";

const halfMinute = 30_000;
setDefaultTimeout(halfMinute);

const place = { table: "accounts", row: "row-1", column: "access_token" };

test("without DATABASE_URL the gateway makes itself a key that only its user can read, and keeps it", async () => {
  await using home = await temporaryHome();
  const first = await gatewayIn(home);
  const file = join(home.folder, "encryption.key");
  const written = await readFile(file, "utf8");
  const sealed = first.app.seal.close(new Secret("a token"), place);
  expect(((await stat(file)).mode & 0o777).toString(8)).toBe("600");
  expect(readKey(written.trim())).toHaveLength(32);
  await first.close();
  expect(home.serverPid()).toBeUndefined();

  const second = await gatewayIn(home);
  const opened = second.app.seal.open(sealed, place).reveal();
  await second.close();
  expect(opened).toBe("a token");
  expect(await readFile(file, "utf8")).toBe(written);
});

test("a key file that holds no key stops the gateway, is left as it is, and nothing keeps running", async () => {
  await using home = await temporaryHome();
  const file = join(home.folder, "encryption.key");
  await Bun.write(file, "half a key");
  expect(await rejection(gatewayIn(home))).toMatchObject({
    code: "home_unusable",
    message: expect.not.stringContaining("half a key"),
  });
  expect(await readFile(file, "utf8")).toBe("half a key");
  expect(home.serverPid()).toBeUndefined();
});

test("a key of the settings is used, and none is written beside it", async () => {
  await using home = await temporaryHome();
  await using database = await testDatabase();
  const [key, other] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];
  const environment = { SMARTDASH_HOME: home.folder, DATABASE_URL: database.url };
  const keys = [key, other].map((each) => each.toString("base64")).join();
  const both = await openApp({
    environment: { ...environment, ENCRYPTION_KEY: keys },
    runtime: bunRuntime,
    role: "gateway",
  });
  const sealed = both.app.seal.close(new Secret("a token"), place);
  await both.close();
  const first = await openApp({
    environment: { ...environment, ENCRYPTION_KEY: key.toString("hex") },
    runtime: bunRuntime,
    role: "gateway",
  });
  expect(first.app.seal.open(sealed, place).reveal()).toBe("a token");
  await first.close();
  expect(await Bun.file(join(home.folder, "encryption.key")).exists()).toBeFalse();
});

function gatewayIn(home: TemporaryHome): Promise<OpenApp> {
  const environment = { SMARTDASH_HOME: home.folder, PORT: "0", LOG_LEVEL: "error" };
  return openApp({ environment, runtime: bunRuntime, role: "gateway" });
}
