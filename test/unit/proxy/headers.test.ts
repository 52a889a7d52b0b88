import { expect, test } from "bun:test";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { asFailure } from "#src/failure.ts";
import type { CallerPlan } from "#src/policy/plan.ts";
import { bind } from "#src/proxy/binding.ts";
import { headersIn, mediaTypeOf } from "#src/proxy/headers.ts";

const app = { bindingKey: new Uint8Array(32).fill(7) };
const upstream = { name: "airtable", credential: { kind: "account" } } as unknown as Upstream;
const planOf = (id: string) =>
  ({ caller: { id, personId: id, accountId: id } as unknown as Caller, upstream }) as CallerPlan;
const requestWith = (headers: Readonly<Record<string, string>> = {}) =>
  new Request("http://localhost/mcp", { method: "POST", headers, body: "{}" });
const key = (value: string) => ({ authorization: `Bearer ${value}` });

test("who says the same sends the same headers, and whoever says or is another does not", () => {
  const plan = planOf("a");
  const first = headersIn(app, requestWith(), plan, key("one"));
  expect(headersIn(app, requestWith(), plan, key("one"))).toBe(first);
  // The credential was renewed.
  expect(headersIn(app, requestWith(), plan, key("two"))["authorization"]).toBe("Bearer two");
  const version = { "mcp-protocol-version": "2025-06-18" };
  expect(headersIn(app, requestWith(version), plan, key("two"))).toMatchObject(version);
  expect(headersIn(app, requestWith(), plan, key("two"))).not.toMatchObject(version);
  expect(headersIn(app, requestWith(), planOf("b"), key("two"))).not.toBe(first);
  const tool = { "mcp-name": "pay", "mcp-param-to": "bob" };
  expect(headersIn(app, requestWith(tool), plan, key("two"))).toMatchObject(tool);
  const named = headersIn(app, requestWith({ "mcp-name": "pay" }), plan, key("two"));
  expect(named).toEqual(expect.not.objectContaining({ "mcp-param-to": "bob" }));
  expect(headersIn(app, requestWith({ "mcp-name": "pay" }), plan, key("two"))).toBe(named);
});

test("a session that somebody else was given is not theirs, also when its owner has just used it", () => {
  const [owner, other] = [planOf("a"), planOf("b")];
  const bound = bind(app, { ...owner, purpose: "session" }, "s1");
  const request = requestWith({ "mcp-session-id": bound });
  expect(headersIn(app, request, owner, key("one"))["mcp-session-id"]).toBe("s1");
  const attempt = () => headersIn(app, request, other, key("one"));
  expect(attempt).toThrow();
  try {
    attempt();
  } catch (error) {
    expect(asFailure(error).code).toBe("mcp_session_unknown");
  }
});

test("what is set on one answer is not on the next one of its type", () => {
  const answer = (requestId: string, more: Readonly<Record<string, string>>) => {
    const { template } = mediaTypeOf("application/json; charset=utf-8");
    return new Response("{}", { headers: template.headersFor(requestId, more) });
  };
  const limits = { "ratelimit-limit": "9", "ratelimit-remaining": "3" };
  const one = answer("one", limits);
  one.headers.set("mcp-session-id", "of one");
  const two = answer("two", { ...limits, "ratelimit-remaining": "2" });
  const three = answer("three", {});
  const four = answer("four", limits);
  const common = {
    "cache-control": "no-store",
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
  };
  // All of them were made before one is looked at.
  expect(one.headers.toJSON()).toEqual({
    ...common,
    ...limits,
    "x-request-id": "one",
    "mcp-session-id": "of one",
  });
  expect(two.headers.toJSON()).toEqual({
    ...common,
    ...limits,
    "ratelimit-remaining": "2",
    "x-request-id": "two",
  });
  expect(three.headers.toJSON()).toEqual({ ...common, "x-request-id": "three" });
  expect(four.headers.toJSON()).toEqual({ ...common, ...limits, "x-request-id": "four" });
});
