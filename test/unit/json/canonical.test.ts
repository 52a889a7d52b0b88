import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { canonicalJson, parseExactly, scanJson } from "#src/json.ts";
import { anyText, check, isSameJson } from "#test/support/property.ts";

const canonical = (text: string) => canonicalJson(parseExactly(text));

/** A number: its sign, its digits without their point, and its power of ten. */
type Decimal = { readonly sign: string; readonly digits: string; readonly power: number };

const decimals = (mostDigits: number): fc.Arbitrary<Decimal> =>
  fc.record({
    sign: fc.constantFrom("", "-"),
    digits: fc.oneof(
      fc.nat({ max: 999 }).map(String),
      fc.bigInt({ min: 0n, max: 10n ** BigInt(mostDigits) - 1n }).map(String),
    ),
    power: fc.oneof(fc.integer({ min: -20, max: 20 }), fc.integer({ min: -240, max: 240 })),
  });

/** Ways to write one number. */
const writings: readonly ((decimal: Decimal) => string)[] = [
  ({ sign, digits, power }) => `${sign}${digits}e${power}`,
  ({ sign, digits, power }) => `${sign}${digits}E${power < 0 ? "" : "+"}${power}`,
  ({ sign, digits, power }) => `${sign}${digits}.0e${power}`,
  ({ sign, digits, power }) => `${sign}${digits === "0" ? "" : digits}0e${power - 1}`,
  ({ sign, digits, power }) =>
    `${sign}${digits.slice(0, 1)}.${digits.slice(1)}0e${power + digits.length - 1}`,
  ({ sign, digits, power }) => `${sign}0.${digits}e${power + digits.length}`,
];
const writing = fc.constantFrom(...writings);

/** What a number is, however it is written. */
function exact(text: string): string {
  const [mantissa = "", power = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  const exponent = Number(power) - fraction.length + digits.length - significant.length;
  return `${text.startsWith("-") ? "-" : ""}${significant}e${exponent}`;
}

test("a number of up to fifteen digits has one text, however it is written, and it is that of JSON.stringify", () => {
  check(
    fc.property(decimals(15), writing, writing, (decimal, one, other) => {
      const text = canonical(one(decimal));
      expect(canonical(other(decimal))).toBe(text);
      expect(text).toBe(JSON.stringify(Number(one(decimal))));
    }),
    { cases: 700 },
  );
});

test("numbers of different value never have the same text", () => {
  const near = fc
    .tuple(decimals(40), fc.constantFrom(0n, 1n, 10n), fc.constantFrom(-1, 0, 1), writing, writing)
    .map(([decimal, more, shift, one, other]) => {
      const digits = String(BigInt(decimal.digits) + more);
      return [one(decimal), other({ ...decimal, digits, power: decimal.power + shift })] as const;
    });
  check(
    fc.property(near, ([one, other]) => {
      if (exact(one) !== exact(other)) expect(canonical(one)).not.toBe(canonical(other));
    }),
    { cases: 1500 },
  );
});

test("a number that a double does not hold stays as it was written, also where it stands inside", () => {
  for (const written of ["12345678901234567890", "9007199254740993", "0.1000000000000000055"]) {
    expect(canonical(`{"a":[ ${written} ]}`)).toBe(`{"a":[${written}]}`);
  }
  expect(canonical("1e400")).toBe("1e400");
  expect(canonical("-0.0")).toBe("0");
});

/** One value, written as JSON.stringify would and as nobody would: members backwards, escapes, blanks. */
type Writings = { readonly plain: string; readonly odd: string };

const blank = " \n\t";
const names = fc.oneof(
  fc.constantFrom("", "a", "b", "10", "9", "__proto__", "é", "\ud83d"),
  anyText,
);
const values = fc.letrec<{ value: Writings }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc
      .oneof(fc.constantFrom("null", "true", "false"), fc.integer().map(String))
      .map((plain) => ({ plain, odd: blank + plain + blank })),
    anyText.map((text) => ({ plain: JSON.stringify(text), odd: escaped(text) })),
    fc.array(tie("value"), { maxLength: 4 }).map((members) => ({
      plain: `[${members.map(({ plain }) => plain).join(",")}]`,
      odd: `[${blank}${members.map(({ odd }) => odd).join(`,${blank}`)}]`,
    })),
    fc
      .uniqueArray(fc.tuple(names, tie("value")), { maxLength: 4, selector: ([name]) => name })
      .map((members) => ({
        plain: `{${members.map(([name, { plain }]) => `${JSON.stringify(name)}:${plain}`).join(",")}}`,
        odd: `{${blank}${members
          .toReversed()
          .map(([name, { odd }]) => `${escaped(name)}${blank}:${odd}`)
          .join(",")}}`,
      })),
  ),
})).value;

/** A text with every character of it escaped. */
function escaped(text: string): string {
  const units = text.split("").map((unit) => unit.charCodeAt(0).toString(16).padStart(4, "0"));
  return `"${units.map((unit) => `\\u${unit}`).join("")}"`;
}

test("a value has one text whatever the order of its keys, its blanks and its escapes", () => {
  check(
    fc.property(values, ({ plain, odd }) => {
      const text = canonical(plain);
      expect(canonical(odd)).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(odd));
    }),
    { cases: 700 },
  );
});

test("values that differ have texts that differ", () => {
  check(
    fc.property(values, values, ({ odd: left }, { plain: right }) => {
      const areSame = isSameJson(JSON.parse(left), JSON.parse(right));
      expect(canonical(left) === canonical(right)).toBe(areSame);
    }),
    { cases: 700 },
  );
});

test("the text of a text is itself", () => {
  check(
    fc.property(values, decimals(40), writing, ({ odd }, decimal, write) => {
      const text = canonical(`[${odd},${write(decimal)}]`);
      expect(canonical(text)).toBe(text);
    }),
    { cases: 700 },
  );
});

test("keys stand in the order of their UTF-16 code units, and none is lost", () => {
  expect(canonical('{"b":1,"a":2,"10":3,"9":4,"A":5,"":6,"__proto__":7,"\\u00e9":8}')).toBe(
    '{"":6,"10":3,"9":4,"A":5,"__proto__":7,"a":2,"b":1,"é":8}',
  );
});

test("numbers that were parsed exactly are written again as they were", () => {
  check(
    fc.property(decimals(60), writing, (decimal, write) => {
      const text = `{"a":[${write(decimal)},"1e5"]}`;
      expect(JSON.stringify(parseExactly(text))).toBe(text);
    }),
    { cases: 700 },
  );
});

test.each([
  "",
  "01",
  "1.",
  ".5",
  "+1",
  "1e",
  "0x1",
  "NaN",
  "Infinity",
  "'a'",
  "[1,]",
  '{"a":1,}',
  "{a:1}",
  '"\n"',
  '"\\x"',
  "1 2",
  "\ufeff1",
])("%j is no JSON and is refused", (text) => {
  expect(() => parseExactly(text)).toThrow();
});

test("an object that is in order already is written like one that is not", () => {
  for (const [given, written] of [
    [{ b: 1, a: "x" }, '{"a":"x","b":1}'],
    [{ a: "x", b: 1 }, '{"a":"x","b":1}'],
    [{ 9: 1, 10: 2 }, '{"10":2,"9":1}'],
    [{ a: { d: 1, c: null }, b: [{ z: 1, y: 2 }] }, '{"a":{"c":null,"d":1},"b":[{"y":2,"z":1}]}'],
    [JSON.parse('{"__proto__":1,"a":-0}'), '{"__proto__":1,"a":0}'],
    [[1, 2], "[1,2]"],
    [{}, "{}"],
  ] as const) {
    expect(canonicalJson(given)).toBe(written);
  }
  expect(canonicalJson(parseExactly('{"a":12345678901234567890}'))).toBe(
    '{"a":12345678901234567890}',
  );
});

/** JSON as others write it: keys in any order, blanks here and there, letters escaped, numbers in other ways. */
const written: fc.Arbitrary<string> = fc.letrec<{ value: string; object: string }>((tie) => {
  const blank = fc.constantFrom("", "", "", "", "", " ", "\n");
  const key = fc.oneof(
    fc.constantFrom(
      "a",
      "b",
      "c",
      "10",
      "9",
      "arguments",
      "params",
      "__proto__",
      "\u00e9",
      "\u2028",
    ),
    fc.string({ maxLength: 3 }),
  );
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 6 }).map((some) => JSON.stringify(some)),
    fc.constantFrom('"\\u0041"', '"\\/"', '"\u007f"', '"{,}[]:"', '"\\\\"'),
  );
  const number = fc.oneof(
    fc.integer().map(String),
    fc.constantFrom("0", "-0", "1.50", "1e3", "123456789012345", "1234567890123456", "-7"),
  );
  const object = fc
    .tuple(
      fc.uniqueArray(fc.tuple(key, tie("value")), { selector: ([name]) => name, maxLength: 10 }),
      fc.boolean(),
      blank,
    )
    .map(([members, isSorted, space]) => {
      const all = isSorted ? members.toSorted(([a], [b]) => (a < b ? -1 : 1)) : members;
      return `{${all.map(([name, value]) => `${JSON.stringify(name)}:${space}${value}`).join(",")}}`;
    });
  const array = fc.array(tie("value"), { maxLength: 3 }).map((all) => `[${all.join(",")}]`);
  const literal = fc.constantFrom("true", "false", "null");
  return {
    value: fc.oneof({ maxDepth: 3 }, text, number, literal, array, object),
    object,
  };
}).object;

const found = (message: string) => scanJson(message, { member: ["params", "arguments"] });

/** An object with a long last member: most of a message. */
const long = (object: string) => {
  const rest = `"\uffff":"${"x".repeat(2000)}"}`;
  return object === "{}" ? `{${rest}` : `${object.slice(0, -1)},${rest}`;
};

test("what a scan offers as the canonical text of the arguments is that", () => {
  let offered = 0;
  check(
    fc.property(written, written, written, (object, before, after) => {
      const given = long(object);
      const message = `{"a":${before},"params":{"_meta":${after},"arguments":${given},"x":${before}},"id":1}`;
      const canonicalText = found(message);
      if (canonicalText === undefined) return;
      offered += 1;
      expect(canonicalText).toBe(canonical(given));
    }),
    { cases: 2000 },
  );
  expect(offered).toBeGreaterThan(30);
});

test("arguments that are plain and most of a message are offered; others, and those of another place, are not", () => {
  const plain = long('{"a":[{"b":-1}],"c":"\u00e9 {\u2028}","d":null}');
  const offered = (given: string) => found(`{"params":{"arguments":${given}}}`);
  expect(found(`{"jsonrpc": "2.0", "params": {"name":"x","arguments":${plain} }}`)).toBe(plain);
  for (const other of ['{"b":1,"a":1}', '{"a":1.0}', '{"a": 1}', '{"a":"\\u0041"}']) {
    expect(offered(long(other))).toBeUndefined();
  }
  for (const other of [`[${plain}]`, `"${"x".repeat(100)}"`, "null"]) {
    expect(offered(other)).toBeUndefined();
  }
  const elsewhere = [
    `{"arguments":${plain},"params":{}}`,
    `{"params":[{"arguments":${plain}}]}`,
    `[{"params":{"arguments":${plain}}}]`,
    `{"params":{"x":{"arguments":${plain}}}}`,
    `{"x":{"params":1,"arguments":${plain}}}`,
    `{"result":{"params":{"arguments":${plain}}}}`,
  ];
  for (const message of elsewhere) expect(found(message)).toBeUndefined();
  // A small piece would keep the whole message in memory for as long as it is kept itself.
  expect(found(`{"params":{"name":"${"x".repeat(2000)}","arguments":{"a":1}}}`)).toBeUndefined();
});
