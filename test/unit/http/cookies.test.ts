import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { hostCookie, readHostCookie } from "#src/http/forms.ts";
import { check } from "#test/support/property.ts";

const names = fc.constantFrom("session", "attempt", "review", "browser");
const values = fc.stringMatching(/^[\w.=-]{0,40}$/);
const carrying = (cookie: string) => ({ headers: new Headers({ cookie }) }) as Request;
const pair = (cookie: string) => cookie.split(";")[0] ?? "";

test("a cookie that was set is read again among others, and no other one is taken for it", () => {
  const others = fc.array(
    fc.constantFrom(
      "a=b",
      "session=evil",
      "__Host-smartdash-other=1",
      "__Host-smartdash-session",
      "",
      "x",
    ),
    { maxLength: 4 },
  );
  check(
    fc.property(names, values, others, others, (name, value, before, after) => {
      const cookies = [...before, pair(hostCookie(name, value, 60)), ...after];
      expect(readHostCookie(carrying(cookies.join("; ")), name)).toBe(value);
      expect(readHostCookie(carrying(cookies.join(";")), name)).toBe(value);
      expect(readHostCookie(carrying([...before, ...after].join("; ")), name)).toBeUndefined();
    }),
    { cases: 200 },
  );
});

test("a cookie is of this host alone, invisible for scripts, and gone when its time is over", () => {
  expect(hostCookie("session", "v", 60)).toBe(
    "__Host-smartdash-session=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60",
  );
  expect(readHostCookie({ headers: new Headers() } as Request, "session")).toBeUndefined();
});
