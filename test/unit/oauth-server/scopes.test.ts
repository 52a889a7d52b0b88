import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { allowedBy, readScopes, scopeFor, scopes } from "#src/oauth-server/scopes.ts";
import { check } from "#test/support/property.ts";

const given = fc.subarray([...scopes]);

test("scopes are read in any order, once each, and unknown ones are passed over", () => {
  const words = fc.constantFrom(
    ...scopes,
    "openid",
    "mcp:*",
    "MCP:READ",
    "mcp:rea",
    "",
    "mcp:read,",
  );
  check(
    fc.property(fc.array(words, { maxLength: 8 }), (list) => {
      expect(readScopes(list.join(" "))).toEqual(scopes.filter((scope) => list.includes(scope)));
    }),
    { cases: 200 },
  );
  expect([readScopes(undefined), readScopes("")]).toEqual([[], []]);
});

test("what scopes allow holds them, grows with them, and allows nothing more when taken for scopes again", () => {
  check(
    fc.property(given, given, (one, other) => {
      const allowed = allowedBy(one);
      expect(one.filter((scope) => !allowed.has(scope))).toEqual([]);
      expect(allowedBy([...allowed])).toEqual(allowed);
      const both = allowedBy([...one, ...other]);
      expect([...both].toSorted()).toEqual([...allowed.union(allowedBy(other))].toSorted());
    }),
    { cases: 100 },
  );
});

test("reading never allows calling, nor calling resources, nor resources calling", () => {
  expect(scopes.map((scope) => [...allowedBy([scope])].toSorted())).toEqual([
    ["mcp:read"],
    ["mcp:call", "mcp:read"],
    ["mcp:read", "mcp:resources"],
  ]);
});

test("a method that nobody has heard of needs what calling tools needs", () => {
  const near = [
    "tools/list\n",
    " ping",
    "PING",
    "Tools/list",
    "tools/listen",
    "xtools/list",
    "tools",
  ];
  const odd = ["", "notifications/", "notifications", "constructor", "tools/call", "tasks/get"];
  expect([...near, ...odd].map(scopeFor)).toEqual([...near, ...odd].map(() => "mcp:call"));
  check(
    fc.property(fc.string(), (method) => {
      expect(scopeFor(`x/${method}`)).toBe("mcp:call");
    }),
    { cases: 100 },
  );
});

test("lists, greetings and notifications need reading; the content of resources its own scope", () => {
  const reading = ["initialize", "ping", "tools/list", "resources/templates/list", "prompts/get"];
  expect([...reading, "notifications/cancelled"].map(scopeFor)).toEqual(Array(6).fill("mcp:read"));
  const resources = ["resources/read", "resources/subscribe", "subscriptions/listen"];
  expect(resources.map(scopeFor)).toEqual(Array(3).fill("mcp:resources"));
});
