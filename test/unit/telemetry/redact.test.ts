import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { tokenPrefixes } from "#src/crypto/secret.ts";
import { redact } from "#src/telemetry/redact.ts";
import { check } from "#test/support/property.ts";

const characters = (pattern: RegExp) => fc.stringMatching(pattern);

/** Secrets as they are, with what of them must not be left. */
const secrets: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...Object.values(tokenPrefixes)), characters(/^[\w-]{43}$/))
    .map(([prefix, random]) => prefix + random),
  characters(/^APP_USR-\d{16}-\d{6}-[0-9a-f]{32}-\d{9}$/),
  characters(/^TG-[0-9a-f]{24}-\d{9}$/),
  characters(/^pat[A-Za-z0-9]{14}\.[0-9a-f]{64}$/),
  characters(/^sbp_[0-9a-f]{40}$/),
  characters(/^whsec_[A-Za-z0-9+/]{32}$/),
  characters(/^eyJ[\w-]{10,30}\.eyJ[\w-]{10,30}\.[\w-]{20,43}$/),
);
const databases = characters(/^postgresql:\/\/[a-z]{3,8}:[A-Za-z0-9]{8,16}@db\.example\.com$/);

/** What stands around: no letter touches the secret, and nothing else looks like one. */
const around = fc
  .array(
    fc.constantFrom(
      "a word",
      '{"text":"',
      '","status":401}',
      "https://mcp.example.com/mcp?x=",
      "[redacted]",
      "é😀",
      "\u0000",
      "\\",
      "0af7651916cd43dd8448eb211c80319c",
      "=",
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(" "));
const before = fc
  .tuple(around, fc.constantFrom("", " ", '"', "'", "=", ":", "/", "(", "\n", "&"))
  .map(([text, last]) => (last === "" ? "" : text + last));
const behind = fc
  .tuple(fc.constantFrom("", " ", '"', "'", "&", ",", ")", "\n", "\\"), around)
  .map(([first, text]) => (first === "" ? "" : first + text));

test("a secret does not survive in any place of any text, and what stands around it does", () => {
  const scheme = fc.constantFrom("", "", "Bearer ", "bearer  ", "Basic ");
  check(
    fc.property(before, scheme, secrets, behind, (left, scheme, secret, right) => {
      const text = redact(left + scheme + secret + right);
      expect(text).not.toContain(secret.slice(8, 20));
      expect(text).toContain("[redacted]");
      expect(text).toStartWith(left);
      expect(text).toEndWith(right.startsWith("\\") ? right.slice(1) : right);
    }),
    { cases: 700 },
  );
});

test("the address of a database does not survive, to its end", () => {
  check(
    fc.property(before, databases, fc.constantFrom(" ", '"', "'", "\n"), (left, address, end) => {
      const text = redact(`${left}${address}${end}x`);
      expect(text).toStartWith(left);
      expect(text).toEndWith(`[redacted]${end}x`);
    }),
    { cases: 200 },
  );
});

test("a secret that holds the beginning of another does not survive in part", () => {
  const header = `eyJ${"a".repeat(5)}TG-${"b".repeat(12)}`;
  for (const secret of [
    `${header}.eyJ${"c".repeat(20)}.${"d".repeat(30)}`,
    `${Buffer.from("sd_ses_").toString("base64url").slice(0, 9)}${"e".repeat(20)}TG-${"f".repeat(30)}`,
  ]) {
    expect(redact(`x ${secret} y`)).toBe("x [redacted] y");
  }
});

test("two secrets beside each other do not hide one another", () => {
  check(
    fc.property(secrets, fc.constantFrom(" ", ", ", '","', "&x=", "\n"), secrets, (a, gap, b) => {
      expect(redact(a + gap + b)).toBe(`[redacted]${gap}[redacted]`);
    }),
    { cases: 300 },
  );
});

const fieldNames = fc.constantFrom(
  "access_token",
  "refresh_token",
  "client_secret",
  "api_key",
  "code_verifier",
  "password",
  "ACCESS_TOKEN",
);
const values = characters(/^[A-Za-z0-9._~+/-]{6,40}$/);

test("the value of a field whose name says that it is secret does not survive, however it is written down", () => {
  const shapes: readonly ((name: string, value: string) => string)[] = [
    (name, value) => JSON.stringify({ error: "x", [name]: value, more: 1 }),
    (name, value) => `grant_type=x&${name}=${value}&more=1`,
    (name, value) => `${name}: ${value}`,
    (name, value) => `{ '${name}': '${value}' }`,
    (name, value) => `${name} = "${value}"`,
  ];
  check(
    fc.property(fieldNames, values, fc.constantFrom(...shapes), (name, value, shape) => {
      expect(redact(shape(name, value))).toBe(shape(name, "[redacted]"));
    }),
    { cases: 500 },
  );
});

test("codes and states in the address of a callback do not survive, and the rest of it does", () => {
  // A letter or digit at their end: what stands before `&` is looked at, too.
  const ended = values.map((value) => `${value}x`);
  check(
    fc.property(ended, ended, (code, state) => {
      const address = (one: string, two: string) =>
        `https://mcp.example.com/auth/callback?code=${one}&state=${two}&iss=https://x.example`;
      expect(redact(address(code, state))).toBe(address("[redacted]", "[redacted]"));
    }),
    { cases: 200 },
  );
});

test("a secret of ours does not survive in base64 or hex either, wherever it begins", () => {
  const ours = fc
    .tuple(fc.constantFrom(...Object.values(tokenPrefixes)), characters(/^[\w-]{43}$/))
    .map(([prefix, random]) => prefix + random);
  const forms = ["base64", "base64url", "hex"] as const;
  check(
    fc.property(ours, fc.nat({ max: 8 }), fc.constantFrom(...forms), (secret, offset, form) => {
      const whole = Buffer.from(`${"x".repeat(offset)}${secret}`).toString(form);
      const text = redact(`a "${whole}" b`);
      // Past the prefix and what stands before it: what is left of the secret itself.
      expect(text).not.toContain(whole.slice(28, 48));
      expect([text.slice(0, 3), text.slice(-3)]).toEqual(['a "', '" b']);
    }),
    { cases: 300 },
  );
});

/** Texts that are made to go wrong: pieces of secrets, of what replaces them, and of what introduces them. */
const fragments = fc
  .array(
    fc.constantFrom(
      "Bearer ",
      "[redacted]",
      "[redacted",
      "password",
      "access_token",
      "=",
      ":",
      '"',
      " ",
      "&code=",
      "sd_ses_",
      "abcdefgh",
      "eyJ",
      ".",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "c2Rfc2VzX",
      "73645f7365735f",
      "TG-",
    ),
    { maxLength: 16 },
  )
  .map((parts) => parts.join(""));

test("what has been redacted stays as it is when it is redacted again", () => {
  check(
    fc.property(fc.oneof(fragments, fc.string({ maxLength: 200 })), (text) => {
      const once = redact(text);
      expect(redact(once)).toBe(once);
    }),
    { cases: 1500 },
  );
});

test("a text without secrets is not changed", () => {
  const words = fc.constantFrom(
    "call",
    "the bearer is missing",
    "token",
    "Bearer x",
    "password is wrong",
    "sd_ses_",
    "TG-1",
    "postgres is away",
    "code=1",
    "https://mcp.example.com/mcp/airtable?page=2",
    "2026-11-26T00:59:59.304Z",
  );
  const ids = fc.oneof(fc.uuid(), characters(/^[0-9a-f]{64}$/), characters(/^\d{1,16}$/));
  check(
    fc.property(fc.array(fc.oneof(words, ids), { maxLength: 20 }), (parts) => {
      for (const text of [parts.join(" "), JSON.stringify(parts)]) expect(redact(text)).toBe(text);
    }),
    { cases: 300 },
  );
});
