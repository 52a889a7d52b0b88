import { expect, test } from "bun:test";
import { placeOf } from "#src/http/reason.ts";

const from = "https://mcp.example.com/a/mcp";

test.each([
  ["/b/mcp?code=x#y", "https://mcp.example.com/b/mcp"],
  ["https://user:password@login.example.com/sign-in", "https://login.example.com/sign-in"],
  ["https://elsewhere.example/v1/0123456789abcdef0123", "https://elsewhere.example/v1/…"],
  ["https://elsewhere.example/a;token=abcdefghijklmnop", "https://elsewhere.example/…"],
  ["/login/APP%5FUSR-1234567890", "https://mcp.example.com/login/…"],
  ["/login/eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "https://mcp.example.com/login/…"],
  ["data:text/plain,secretsecret", "no address"],
  ["javascript:alert(1)", "no address"],
  ["http://", "no address"],
  [null, "no address"],
])("a redirect to %s is told as %s", (location, told) => {
  expect(placeOf(location, from)).toBe(told);
});

test("where it leads is told in 200 characters at most", () => {
  expect(placeOf(`/${"a/".repeat(4000)}`, from)).toHaveLength(200);
});
