import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { tagOf } from "#src/crypto/secret.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { denoRuntime } from "#src/runtime/deno.ts";

test("every runtime makes the same keyed hash, which others can prove", () => {
  const key = randomBytes(32);
  for (const [text, more] of [
    ["", undefined],
    ["call:x", ""],
    ["call:x", "{}"],
    ["ñ", "x".repeat(100_000)],
    ["a", "\u{1f600}\ud800"],
  ] as const) {
    const wanted = tagOf(key, text + (more ?? ""));
    for (const { tag } of [bunRuntime, denoRuntime]) expect(tag(key, text, more)).toBe(wanted);
  }
});

test("a digest is another one for another text, and beside another digest", () => {
  for (const { digest } of [bunRuntime, denoRuntime]) {
    const texts = ["", "a", "b", "ab"];
    const made = texts.flatMap((of) => texts.map((text) => digest(text, digest(of))));
    expect(new Set(made).size).toBe(16);
    expect(digest("a", digest("b"))).toBe(digest("a", digest("b")));
    expect(digest(Buffer.from("a"))).toBe(digest("a"));
  }
});

test("only what is fulfilled is taken without waiting", async () => {
  const { settled } = bunRuntime;
  expect(settled(Promise.resolve(7))).toBe(7);
  const pending = Promise.withResolvers<number>();
  expect(settled(pending.promise)).toBe(pending.promise);
  pending.resolve(1);
  const failed = Promise.reject(new Error("no"));
  expect(settled(failed)).toBe(failed);
  expect(await failed.catch((error: Error) => error.message)).toBe("no");
});
