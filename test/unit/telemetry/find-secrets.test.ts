import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { formsOf, suspectsIn } from "#src/telemetry/find-secrets.ts";
import { redact } from "#src/telemetry/redact.ts";
import { check } from "#test/support/property.ts";

const secrets = fc.string({ unit: "grapheme", minLength: 8, maxLength: 24 });
const around = fc.stringMatching(/^[ a-z".,:{}\n-]{0,30}$/);

test("a value that is known is found in every form, with the place where it stands and never with itself", () => {
  check(
    fc.property(around, secrets, fc.nat(), around, (left, value, which, right) => {
      const forms = formsOf(value);
      const form = forms[which % forms.length] ?? "";
      const text = `${left}|${form}|${right}`;
      const found = suspectsIn(text, 7, [{ name: "SECRET_KEY", value }]);
      const own = found.filter(({ kind }) => kind === "SECRET_KEY");
      expect(own).toContainEqual({
        line: 7,
        column: text.indexOf(form) + 1,
        kind: "SECRET_KEY",
        length: form.length,
      });
      expect(own.map(({ line }) => line)).toEqual(own.map(() => 7));
    }),
    { cases: 300 },
  );
});

test("a value shorter than eight characters is not looked for: it would be everywhere", () => {
  expect(formsOf("1234567")).toEqual([]);
  expect(suspectsIn("port 1234567", 1, [{ name: "PORT", value: "1234567" }])).toEqual([]);
});

test.each([
  [`sd_ses_${"A".repeat(43)}`, "token of this gateway"],
  [`APP_USR-${"1".repeat(16)}`, "Mercado Libre access token"],
  ["TG-64f0c0ffee0000000001abcd", "Mercado Libre refresh token"],
  [`patABCDEFGHIJKLMN.${"0123456789abcdef".repeat(4)}`, "Airtable key"],
  [`sbp_${"0123456789abcdef".repeat(2)}`, "Supabase key"],
  ["eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "JSON Web Token"],
  ["postgres://smartdash:hunter22@db.example.com/", "database address with a password"],
  ["Basic c21hcnRkYXNoOmh1bnRlcjIy", "Authorization header"],
])("%s is told as what it is, %s, and where it stands", (secret, kind) => {
  const [found, ...others] = suspectsIn(`level=info text="${secret}" more`, 3, []);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ line: 3, column: 18, kind });
});

test("whatever would be redacted is suspect, and a line that has been redacted is not", () => {
  const lines = fc
    .array(
      fc.oneof(
        fc.constantFrom("Bearer ", "password=", '"api_key":"', "TG-", "sd_ses_", " ", "&code="),
        fc.stringMatching(/^[\w.-]{1,24}$/),
      ),
      { maxLength: 10 },
    )
    .map((parts) => parts.join(""));
  check(
    fc.property(lines, (line) => {
      if (redact(line) !== line) expect(suspectsIn(line, 1, [])).not.toEqual([]);
      expect(suspectsIn(redact(line), 1, [])).toEqual([]);
    }),
    { cases: 500 },
  );
});
