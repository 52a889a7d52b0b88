import { expect, test } from "bun:test";
import { fieldsOf, hasTokens, refusalOf, tokensIn } from "#src/accounts/token-answer.ts";
import type { Provider } from "#src/providers/provider.ts";
import { airtable } from "#src/providers/airtable.ts";

const plainProvider: Provider = { ...airtable, errors: [] };
const json = "application/json";
const form = "application/x-www-form-urlencoded";

function answerOf(status: number, body: unknown, type = json) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { status, headers: new Headers({ "content-type": type }), text };
}

function read(status: number, body: unknown, type?: string, provider = plainProvider) {
  const { means, code, isAboutRequest } = refusalOf(
    provider,
    answerOf(status, body, type),
    new Date(0),
  );
  return `${means} ${code}${isAboutRequest ? "" : ", the provider's trouble"}`;
}

test("verdicts are heard wherever providers write them", () => {
  for (const body of [
    { error: "invalid_grant" },
    { error: "INVALID_GRANT" },
    [{ error: "invalid_grant" }],
    { error_type: "invalid_grant" },
    { errorCode: "invalid_grant" },
    { errors: [{ errorType: "invalid_grant" }] },
    { errors: ["invalid_grant"] },
    { error: { status: "invalid_grant" } },
    { error: { error: { code: "invalid_grant" } } },
    { error: { errors: [{ reason: "invalid_grant" }] } },
    { fault: { detail: { errorcode: "invalid_grant" } } },
    "error=invalid_grant",
  ]) {
    expect([body, read(400, body)]).toEqual([body, "dead invalid_grant"]);
  }
  expect(read(400, { status: "BAD_REFRESH_TOKEN", message: "unknown" })).toBe(
    "dead bad_refresh_token",
  );
  const spaced = "error=invalid_grant&error_description=Token has expired\n";
  expect(read(400, spaced, form)).toBe("dead invalid_grant");
});

test("an answer that can be read is about one request, whatever its words", () => {
  for (const [status, body, type] of [
    [400, { error: "Refresh token is invalid or expired" }, json],
    [401, { message: "Invalid refresh token" }, json],
    [200, { error: { code: 190, message: "expired" } }, json],
    [
      400,
      { fault: { detail: { errorcode: "keymanagement.service.invalid_refresh_token" } } },
      json,
    ],
    [400, "error=expired&error_description=It <b>has</b> ended", form],
  ] as const) {
    expect([body, read(status, body, type)]).toEqual([
      body,
      expect.not.stringContaining("the provider's trouble"),
    ]);
  }
});

test("a provider that has no time speaks no verdict, and the first code decides", () => {
  const trouble = ", the provider's trouble";
  expect(read(408, { error: "invalid_grant" })).toBe(`broken invalid_grant${trouble}`);
  expect(read(425, { error: "invalid_grant" })).toBe(`broken invalid_grant${trouble}`);
  expect(read(429, { error: "invalid_grant" })).toBe(`busy invalid_grant${trouble}`);
  expect(read(503, { error: "invalid_grant" })).toBe(`broken invalid_grant${trouble}`);
  expect(read(404, "<html>error=invalid_grant</html>", "text/html")).toBe(
    `broken http_404${trouble}`,
  );
  const own = { ...plainProvider, errors: [{ code: "gone", means: "dead" as const }] };
  expect(read(429, { error: "gone" }, json, own)).toBe(`busy gone${trouble}`);
  expect(read(400, { error: "temporarily_unavailable", error_code: "invalid_grant" })).toBe(
    `busy temporarily_unavailable${trouble}`,
  );
  expect(read(400, { error: "server_error", errors: [{ code: "invalid_grant" }] })).toBe(
    "broken server_error",
  );
  expect(read(400, { error: "invalid_client", code: "invalid_grant" })).toBe(
    "application_refused invalid_client",
  );
  expect(read(400, { error: "bad_request", error_code: "invalid_grant" })).toBe(
    "dead invalid_grant",
  );
});

test("a code that may be a repeated secret is not shown", () => {
  for (const error of ["rt_live_8f7a6b5c4d3e2f1a", "req.3f2b8a77-1111-2222-3333-444455556666"]) {
    expect(read(400, { error })).toBe("broken http_400");
  }
  expect(read(400, { error: "AADSTS700082" })).toBe("broken aadsts700082");
});

test("tokens are taken in whatever form they come", () => {
  const written = "access_token=NEW&refresh_token=R&scope=read write";
  for (const type of [form, "text/html; charset=utf-8", "text/plain", ""]) {
    const answer = answerOf(200, written, type);
    const fields = fieldsOf(answer);
    if (!hasTokens(answer, fields)) throw new Error(`not read as ${type}`);
    const { access, refresh, scope } = tokensIn(plainProvider, fields);
    expect([access.reveal(), refresh?.reveal(), scope]).toEqual(["NEW", "R", "read write"]);
  }
  const page = answerOf(200, "<a href='?access_token=x'>x=1&access_token=2</a>", "text/html");
  expect(fieldsOf(page)).toBeUndefined();
});
