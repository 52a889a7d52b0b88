import { describe, expect, test } from "bun:test";
import {
  type Registration,
  agentRedirect,
  allow,
  authorizedAgent,
  newPkce,
  redeem,
  refresh,
  registerAgent,
  tokenRequest,
} from "#test/support/agent-like.ts";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { openWorld } from "#test/support/world.ts";

async function json(answer: Response): Promise<[number, Readonly<Record<string, unknown>>]> {
  return [answer.status, (await answer.json()) as Record<string, unknown>];
}

test("a required parameter that is missing, empty or null is invalid_request, and costs nothing", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  const device = await registerAgent(world.url, {
    grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
    redirect_uris: [],
  });
  const lacking = [
    ["grant_type", { client_id: clientId }],
    ["refresh_token", { client_id: clientId, grant_type: "refresh_token" }],
    ["code", { client_id: clientId, grant_type: "authorization_code", code_verifier: "v" }],
    ["code_verifier", { client_id: clientId, grant_type: "authorization_code", code: "c" }],
    [
      "device_code",
      { client_id: device.client_id, grant_type: "urn:ietf:params:oauth:grant-type:device_code" },
    ],
  ] as const;
  for (const [name, fields] of lacking) {
    const bodies = [
      new URLSearchParams(fields),
      new URLSearchParams({ ...fields, [name]: "" }),
      JSON.stringify({ ...fields, [name]: null }),
      JSON.stringify({ ...fields, [name]: "" }),
    ];
    for (const body of bodies) {
      const headers = typeof body === "string" ? { "content-type": "application/json" } : {};
      const answer = await fetch(`${world.url}/token`, { method: "POST", headers, body });
      expect([name, ...(await json(answer))]).toEqual([
        name,
        400,
        { error: "invalid_request", error_description: `${name} is missing` },
      ]);
    }
  }
  const still = await refresh(world.url, { clientId, refreshToken: tokens.refresh_token });
  expect(still.status).toBe(200);
});

describe("/token takes what real clients send", () => {
  const optional = { scope: "", resource: "", client_secret: "", redirect_uri: "", audience: "" };
  const bodies: Readonly<
    Record<string, (fields: Record<string, string>) => { body: string; type: string }>
  > = {
    "empty optional parameters": (fields) => ({
      body: new URLSearchParams({ ...fields, ...optional }).toString(),
      type: "application/x-www-form-urlencoded",
    }),
    "a charset": (fields) => ({
      body: new URLSearchParams(fields).toString(),
      type: "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
    }),
    "both types and a form (MCP Inspector)": (fields) => ({
      body: new URLSearchParams(fields).toString(),
      type: "application/json, application/x-www-form-urlencoded",
    }),
    "both types and JSON": (fields) => ({
      body: JSON.stringify(fields),
      type: "application/x-www-form-urlencoded, application/json",
    }),
    "unknown members of any type": (fields) => ({
      body: JSON.stringify({ ...fields, expires_in: 3600, audience: ["x"], a: { b: 1 }, c: true }),
      type: "application/json",
    }),
    "null and empty members": (fields) => ({
      body: JSON.stringify({ ...fields, ...optional, scope: null, resource: [] }),
      type: "application/json",
    }),
    "a byte order mark": (fields) => ({
      body: `\uFEFF${JSON.stringify(fields)}`,
      type: "application/json",
    }),
    "an unknown parameter twice": (fields) => ({
      body: `${new URLSearchParams(fields).toString()}&audience=a&audience=b`,
      type: "application/x-www-form-urlencoded",
    }),
  };
  for (const [name, body] of Object.entries(bodies)) {
    test.concurrent(name, async () => {
      await using world = await openWorld();
      const { clientId, tokens } = await authorizedAgent(world.url);
      const sent = body({
        grant_type: "refresh_token",
        client_id: clientId,
        refresh_token: tokens.refresh_token,
      });
      const answer = await fetch(`${world.url}/token`, {
        method: "POST",
        headers: { "content-type": sent.type },
        body: sent.body,
      });
      expect([answer.status, await answer.text()]).toEqual([
        200,
        expect.stringContaining("access_token"),
      ]);
    });
  }
});

test("/token still refuses a known parameter twice, of another type, or in another kind of body", async () => {
  await using world = await openWorld();
  const ask = (body: string, type: string) =>
    fetch(`${world.url}/token`, { method: "POST", headers: { "content-type": type }, body });
  const form = "application/x-www-form-urlencoded";
  for (const [body, type, words] of [
    ["grant_type=refresh_token&grant_type=refresh_token", form, "grant_type is duplicated"],
    ['{"grant_type":["refresh_token"]}', "application/json", "grant_type must be a text"],
    ['{"grant_type":"refresh_token","refresh_token":5}', "application/json", "must be a text"],
    ["grant_type=refresh_token", "text/plain", "Send an application"],
    ["grant_type=refresh_token", "application/json", "not a JSON object"],
  ] as const) {
    const [status, said] = await json(await ask(body, type));
    expect([status, said["error"], said["error_description"]]).toEqual([
      400,
      "invalid_request",
      expect.stringContaining(words),
    ]);
  }
});

test("/authorize passes over what has no value, what nobody knows, and its repetition", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const { client_id: clientId } = await registerAgent(world.url);
  for (const query of [
    { scope: "", resource: "", prompt: "", response_mode: "", request: "", request_uri: "" },
    { nonce: "", max_age: "0", ui_locales: "xx", display: "none", audience: "[1]" },
    { scope: "unknown", prompt: "unheard_of" },
    { state: "" },
  ] as const) {
    const pkce = newPkce();
    const back = await allow(visitor, { url: world.url, clientId, pkce, query });
    const { searchParams } = back;
    expect([query, searchParams.get("error"), searchParams.has("code")]).toEqual([
      query,
      null,
      true,
    ]);
    expect(searchParams.get("state")).toBe("state" in query ? null : "s1");
    const code = searchParams.get("code") ?? "";
    expect((await redeem(world.url, { clientId, code, pkce })).status).toBe(200);
  }
  const pkce = newPkce();
  for (const [name, wanted] of [
    ["response_type", "invalid_request"],
    ["code_challenge", "invalid_request"],
  ] as const) {
    for (const value of ["", undefined]) {
      const asking = { url: world.url, clientId, pkce, query: { [name]: value } };
      const back = await allow(visitor, asking);
      expect([name, back.searchParams.get("error")]).toEqual([name, wanted]);
    }
  }
});

test("/register: optional members may be absent, empty, null, unknown or of another type", async () => {
  await using world = await openWorld();
  const members = [
    "client_name",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "scope",
    "client_uri",
    "logo_uri",
    "contacts",
    "tos_uri",
    "policy_uri",
    "jwks",
    "jwks_uri",
    "software_id",
    "software_version",
    "software_statement",
    "unheard_of",
  ];
  for (const value of [undefined, "", null, [], {}, 5, false]) {
    const metadata = Object.fromEntries(members.map((member) => [member, value]));
    const registered: Registration = await registerAgent(world.url, metadata);
    const { client_id: clientId, client_secret: secret = "" } = registered;
    const answer = await tokenRequest(world.url, {
      grant_type: "refresh_token",
      refresh_token: "unknown",
      client_id: clientId,
      client_secret: secret,
    });
    // The client is known and proven: what is refused is the token.
    expect([value, (await json(answer))[1]["error"]]).toEqual([value, "invalid_grant"]);
  }
});

test("a public client may prove itself with an empty secret, and a confidential one may not", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  const ask = (id: string, token: string) =>
    tokenRequest(
      world.url,
      { grant_type: "refresh_token", refresh_token: token },
      { authorization: `Basic ${btoa(`${id}:`)}` },
    );
  expect((await ask(clientId, tokens.refresh_token)).status).toBe(200);
  const confidential = await registerAgent(world.url, {
    token_endpoint_auth_method: "client_secret_basic",
    redirect_uris: [agentRedirect],
  });
  const refused = await ask(confidential.client_id, "unknown");
  expect([refused.status, (await json(refused))[1]["error"]]).toEqual([401, "invalid_client"]);
});
