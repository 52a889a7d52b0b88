import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { scanJson, folded, hasLookalike } from "#src/json.ts";
import { asFailure } from "#src/failure.ts";
import { anyText, check } from "#test/support/property.ts";

function refusalOf(json: string): string | undefined {
  try {
    scanJson(json);
    return undefined;
  } catch (error) {
    return asFailure(error).code;
  }
}

/** JSON as it is written, and whether an object in it names a key twice. */
type Written = { readonly json: string; readonly isTwice: boolean };

const names = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("a", "b", "", '"', "\\", "{", "}", ",", ":", "a\\", "ä"),
  },
  { weight: 1, arbitrary: anyText },
);
const blanks = fc.constantFrom("", " ", "\n\t", "\r\n ");

/** As JSON.stringify has it, or every character as an escape of its own. */
const quoted = (text: string, isEscaped: boolean) =>
  isEscaped
    ? `"${text
        .split("")
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
        .join("")}"`
    : JSON.stringify(text);

const documents = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("1", "-2.5e+3", "true", "null").map((json) => ({ json, isTwice: false })),
    fc
      .tuple(names, fc.boolean())
      .map(([text, isEscaped]) => ({ json: quoted(text, isEscaped), isTwice: false })),
    fc.tuple(fc.array(tie("value"), { maxLength: 4 }), blanks).map(([members, blank]) => ({
      json: `[${blank}${members.map(({ json }) => json).join(`${blank},`)}]`,
      isTwice: members.some(({ isTwice }) => isTwice),
    })),
    fc
      .tuple(fc.array(fc.tuple(names, fc.boolean(), tie("value")), { maxLength: 4 }), blanks)
      .map(([members, blank]) => ({
        json: `{${members
          .map(
            ([name, isEscaped, { json }]) =>
              `${blank}${quoted(name, isEscaped)}${blank}:${blank}${json}`,
          )
          .join(`${blank},`)}}`,
        isTwice:
          new Set(members.map(([name]) => name)).size < members.length ||
          members.some(([, , { isTwice }]) => isTwice),
      })),
  ),
})).value;

test("a key twice in one object is refused at any depth and however it is escaped, and nothing else is", () => {
  const seen = { twice: 0, once: 0 };
  check(
    fc.property(documents, ({ json, isTwice }) => {
      // What is checked is valid JSON: it has been parsed before.
      JSON.parse(json);
      seen[isTwice ? "twice" : "once"] += 1;
      expect(refusalOf(json)).toBe(isTwice ? "message_invalid" : undefined);
    }),
    { cases: 2000 },
  );
  expect(Math.min(seen.twice, seen.once)).toBeGreaterThan(50);
});

test("whatever JSON.stringify writes passes, however it is indented", () => {
  check(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat({ max: 2 }), (value, indent) => {
      expect(refusalOf(JSON.stringify(value, null, indent))).toBeUndefined();
    }),
    { cases: 700 },
  );
});

test.each([
  ['{"a":1,"\\u0061":2}', "an escaped letter"],
  ['{"\\u002f":1,"\\/":2}', "two escapes of one character"],
  ['{"😀":1,"\\ud83d\\ude00":2}', "a pair of surrogates"],
  ['{"a":{"b":1},"c":[{"d":1,"d":2}]}', "an object in an array"],
  ['{"":1,"":2}', "the empty key"],
  ['{"__proto__":1,"__proto__":2}', "the name of the prototype"],
  ['{"a\\\\":1,"a\\\\":2}', "a backslash before the closing quote"],
  ['{"a":"}","a":2}', "a brace in a text between them"],
  ['{"a":{"a":1},"a":2}', "one of the same name between them"],
])("%s is refused: %s", (json) => {
  expect(refusalOf(json)).toBe("message_invalid");
});

test.each([
  '[{"a":1},{"a":1}]',
  '{"a":{"a":{"a":"a"}}}',
  '{"a":["a","a"],"b":"a"}',
  '{"a":1,"A":2}',
  '{"a":"\\",\\"a\\":1","b":2}',
  '{"a\\\\":1,"a\\"":2}',
  '{"é":1,"e\u0301":2}',
])("%s names no key twice and passes", (json) => {
  expect(refusalOf(json)).toBeUndefined();
});

test("two hundred levels pass and one more does not, whatever they are made of", () => {
  const nested = (depth: number) => [
    "[".repeat(depth) + "]".repeat(depth),
    `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`,
    `${'[{"a":'.repeat(depth / 2)}${depth % 2 === 0 ? "1" : "[]"}${"}]".repeat(depth / 2)}`,
  ];
  expect(nested(200).map(refusalOf)).toEqual([undefined, undefined, undefined]);
  expect(nested(201).map(refusalOf)).toEqual(Array(3).fill("message_invalid"));
  // Neighbours are not deeper than one of them, and brackets in a text are none.
  expect(refusalOf(`[${Array(1000).fill("[{}]").join(",")}]`)).toBeUndefined();
  expect(refusalOf(JSON.stringify("[".repeat(1000)))).toBeUndefined();
});

test("a key that is one of the protocol's but for its case is a lookalike; the key itself and others are not", () => {
  const known = new Set(["inputResponses", "task", "_meta"]);
  const looksLike = (key: string) => hasLookalike({ [key]: 1 }, known);
  const lookalikes = [
    "inputresponses",
    "INPUTRESPONSES",
    "Task",
    "ta\u017fk",
    "tas\u212a",
    "_Meta",
  ];
  expect(lookalikes.filter((key) => !looksLike(key))).toEqual([]);
  const others = [...known, "tasks", "meta", "", "tásk", "constructor", "__proto__"];
  expect(others.filter(looksLike)).toEqual([]);
});

test("what differs in case alone folds to the same, as Go's encoding/json has it", () => {
  check(
    fc.property(fc.stringMatching(/^[a-zA-Z_]{0,12}$/), (key) => {
      expect(folded(key.toUpperCase())).toBe(folded(key));
      expect(folded(key.replaceAll("s", "\u017f").replaceAll("k", "\u212a"))).toBe(folded(key));
    }),
    { cases: 200 },
  );
});
