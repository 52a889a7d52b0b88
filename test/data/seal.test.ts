import { describe, expect, test } from "bun:test";
import { format, inspect } from "node:util";
import { type Place, SealBroken, createSeal, deriveKey, readKey } from "#src/crypto/seal.ts";
import { Secret } from "#src/crypto/secret.ts";

const [keyA, keyB, keyC] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)];
const token = "APP_USR-1234-refresh-ñ";
const place: Place = { table: "accounts", row: "row-1", column: "access_token" };

describe("a sealed value", () => {
  const seal = createSeal([keyA]);
  const sealed = seal.close(new Secret(token), place);

  test("opens where it was sealed", () => {
    expect(seal.open(sealed, place).reveal()).toBe(token);
    expect(seal.open(seal.close(new Secret(""), place), place).reveal()).toBe("");
  });

  test("shows nothing of what it holds and is never the same twice", () => {
    expect(Buffer.from(sealed).includes("APP_USR")).toBeFalse();
    expect(seal.close(new Secret(token), place)).not.toEqual(sealed);
  });

  test("that release 0.1.0 wrote still opens", () => {
    const written = "ARnJ+kHEobZMxtl7og8SPe16268hdaKBGhEtm6Et+MKF05+REzRgtp4jqPLxXifN4g==";
    expect(seal.open(Buffer.from(written, "base64"), place).reveal()).toBe("written by 0.1.0");
  });

  test.each([
    ["row", { ...place, row: "row-2" }],
    ["column", { ...place, column: "refresh_token" }],
    ["table", { ...place, table: "sessions" }],
  ])("does not open in another %s", (_, elsewhere) => {
    expect(() => seal.open(sealed, elsewhere)).toThrow(SealBroken);
  });

  test("does not open with any one bit flipped", () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Uint8Array.from(sealed);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => seal.open(flipped, place)).toThrow(SealBroken);
    }
  });

  test("does not open when it is cut short or prolonged", () => {
    for (let length = 0; length < sealed.length; length++) {
      expect(() => seal.open(sealed.slice(0, length), place)).toThrow(SealBroken);
    }
    expect(() => seal.open(Buffer.concat([sealed, Buffer.of(0)]), place)).toThrow(SealBroken);
  });
});

describe("with several keys", () => {
  const old = createSeal([keyB]).close(new Secret(token), place);

  test("all of them open", () => {
    const older = createSeal([keyC]).close(new Secret(token), place);
    const seal = createSeal([keyA, keyB, keyC]);
    expect(seal.open(old, place).reveal()).toBe(token);
    expect(seal.open(older, place).reveal()).toBe(token);
  });

  test("the first one seals", () => {
    const sealed = createSeal([keyA, keyB]).close(new Secret(token), place);
    expect(createSeal([keyA]).open(sealed, place).reveal()).toBe(token);
    expect(() => createSeal([keyB]).open(sealed, place)).toThrow(SealBroken);
  });

  test("a value under a key that is gone points to ENCRYPTION_KEY and tells no secret", () => {
    const error = caught(() => createSeal([keyA, keyC]).open(old, place));
    expect(error).toBeInstanceOf(SealBroken);
    expect(String(error)).toContain("ENCRYPTION_KEY");
    const told = `${inspect(error)} ${Bun.inspect(error)}`;
    expect(told).not.toContain(token);
    for (const key of [keyA, keyB, keyC]) {
      expect(told).not.toContain(key.toString("base64").slice(0, 12));
      expect(told).not.toContain(key.toString("hex").slice(0, 12));
    }
  });
});

test("a key for another purpose is neither the key itself nor the key of a third purpose", () => {
  const keys = [keyA, deriveKey(keyA, "bindings"), deriveKey(keyA, "forms")];
  expect(new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size).toBe(3);
  expect(deriveKey(keyA, "bindings")).toEqual(deriveKey(keyA, "bindings"));
});

describe("a key in the settings", () => {
  const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index * 3));

  test.each([
    ["base64", bytes.toString("base64")],
    ["base64 without padding", bytes.toString("base64").replace("=", "")],
    ["base64url", bytes.toString("base64url")],
    ["a Fernet key", `${bytes.toString("base64url")}=`],
    ["hex", bytes.toString("hex")],
    ["upper-case hex", bytes.toString("hex").toUpperCase()],
  ])("may be %s", (_, text) => {
    expect(readKey(text)).toEqual(new Uint8Array(bytes));
  });

  test.each([
    ["nothing", ""],
    ["a passphrase", "correct horse battery staple"],
    ["a passphrase of 32 letters", "a".repeat(32)],
    ["16 bytes in base64", bytes.subarray(16).toString("base64")],
    ["31 bytes in base64", bytes.subarray(1).toString("base64")],
    ["33 bytes in base64", Buffer.concat([bytes, Buffer.of(1)]).toString("base64")],
    ["31 bytes in hex", bytes.subarray(1).toString("hex")],
    ["hex with a strange letter", `${bytes.toString("hex").slice(0, -1)}g`],
    ["base64 with a space", ` ${bytes.toString("base64").slice(1)}`],
    ["two keys at once", `${bytes.toString("base64")},${bytes.toString("base64")}`],
    ["a key and a new line", `${bytes.toString("hex")}\n`],
  ])("is refused when it is %s", (_, text) => {
    expect(readKey(text)).toBeUndefined();
  });
});

describe("a secret", () => {
  const secret = new Secret(token);
  const holder = { secret, list: [secret], map: new Map([["secret", secret]]) };

  test.each([
    ["String()", String(secret)],
    // oxlint-disable-next-line typescript/restrict-template-expressions -- the very thing that must be harmless
    ["a template", `${secret}`],
    ["an addition", "" + secret],
    ["JSON.stringify", JSON.stringify(holder)],
    ["Bun.inspect", Bun.inspect(secret) + Bun.inspect(holder, { depth: 9 })],
    ["util.inspect", inspect(secret) + inspect(holder, { depth: 9, showHidden: true })],
    ["util.format", format("%s %o %O %j %d", secret, secret, holder, holder, secret)],
    ["an error that carries it", Bun.inspect(new Error("no", { cause: secret }))],
    ["its own keys", JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret)])],
  ])("does not show itself in %s", (_, shown) => {
    expect(shown).not.toContain("APP_USR");
    expect(shown).not.toBe("");
  });

  test("does not show itself on the console of another process", async () => {
    const program = `
      import { Secret } from "#src/crypto/secret.ts";
      const secret = new Secret("APP" + "_USR-1234");
      console.log(secret, { secret }, [secret]);
      console.log("%s %o %O %j", secret, secret, { secret }, { secret });
      console.error(new Map([["secret", secret]]));
      console.table([{ secret }]);
      console.dir({ secret }, { depth: 9 });
      console.log("end of program");`;
    const child = Bun.spawn([process.execPath, "-e", program], {
      cwd: `${import.meta.dir}/../..`,
      stdout: "pipe",
      stderr: "pipe",
    });
    const [shown, complaints] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(shown).toContain("end of program");
    expect(shown + complaints).not.toContain("APP_USR");
  });

  test("reveals itself to whoever asks for it by name", () => {
    expect(secret.reveal()).toBe(token);
  });
});

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
