import { expect, test } from "bun:test";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { modernMeta, openSpied, sendRaw, statusesIn } from "./setup.ts";

const readOnly = { query: { scope: "mcp:read" } };

test("TP-11: a token that may only read cannot use a tool, and is told every scope it would need", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url, readOnly)).tokens;
  const send = (method: string) =>
    post(`${world.url}/mcp`, access_token, { jsonrpc: "2.0", id: 3, method, params: {} });
  const needed = {
    "tools/call": "mcp:read mcp:call",
    "resources/read": "mcp:read mcp:resources",
    "unheard/of": "mcp:read mcp:call",
  };
  for (const [method, scope] of Object.entries(needed)) {
    const refused = await send(method);
    expect(refused.status).toBe(403);
    const challenge = refused.headers.get("www-authenticate") ?? "";
    expect(challenge).toContain('error="insufficient_scope"');
    expect(challenge).toContain(`scope="${scope}"`);
    expect(challenge).toContain(
      `resource_metadata="${world.url}/.well-known/oauth-protected-resource/mcp"`,
    );
  }
  expect(upstream.seen).toHaveLength(0);
  expect((await send("tools/list")).status).toBe(200);
});

const listing = '"jsonrpc":"2.0","id":1,"params":{"name":"harmless"}';

/** Bodies of which some reader somewhere would say that they call a tool. */
const ambiguous: Readonly<Record<string, string>> = {
  "a key twice": `{${listing},"method":"tools/call","method":"tools/list"}`,
  "a key twice, one of them escaped": `{${listing},"m\\u0065thod":"tools/call","method":"tools/list"}`,
  "a key twice, far apart": `{"method":"tools/call",${listing},"more":{"method":"x"},"method":"tools/list"}`,
  "params twice": `{"method":"tools/list",${listing},"params":{"name":"harmful"}}`,
  "a name twice inside params":
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"a","n\\u0061me":"b"}}',
  "a key twice inside a batch": `[{${listing},"method":"tools/call","method":"tools/list"}]`,
};

/** For readers that take keys of other case for the same: Go's encoding/json and what is built on it. */
const otherCase: Readonly<Record<string, string>> = {
  "method in other case beside it": `{${listing},"method":"tools/list","METHOD":"tools/call"}`,
  "method in other case instead": `{${listing},"Method":"tools/call"}`,
  "method in other case, escaped": `{${listing},"\\u004dethod":"tools/call"}`,
  "method in other case in a batch": `[{${listing},"method":"tools/list","meThod":"tools/call"}]`,
  "params in other case": `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{},"Params":{"name":"x"}}`,
};

test("TP-12: a body that readers would understand differently is refused", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  for (const [name, body] of Object.entries(ambiguous)) {
    const refused = await post(`${world.url}/mcp`, access_token, body);
    expect([name, refused.status]).toEqual([name, 400]);
    expect(await refused.json()).toMatchObject({ error: { code: -32600 } });
  }
  expect(upstream.seen).toHaveLength(0);
});

test("TP-12: a protocol key written in other case is refused: some readers take it for the same", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url, readOnly)).tokens;
  const answers: [string, number][] = [];
  for (const [name, body] of Object.entries(otherCase)) {
    answers.push([name, (await post(`${world.url}/mcp`, access_token, body)).status]);
  }
  expect(answers).toEqual(Object.keys(otherCase).map((name) => [name, 400]));
  expect(upstream.seen).toHaveLength(0);
});

test("TP-12: what a token allows is judged by the body, whatever the headers say", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url, readOnly)).tokens;
  const harmless = { "mcp-method": "tools/list", "mcp-name": "harmless" };
  const call = toolCall("harmful");
  const escaped = JSON.stringify(call).replace(
    '"method":"tools/call"',
    '"m\\u0065thod":"tools\\/c\\u0061ll"',
  );
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const bodies = [call, escaped, [list, call], [call], [list, [call]]];
  for (const version of ["2025-11-25", "2025-03-26", "1999-01-01", "nonsense"]) {
    for (const body of bodies) {
      const headers = { ...harmless, "mcp-protocol-version": version };
      const refused = await post(`${world.url}/mcp`, access_token, body, headers);
      expect([400, 403]).toContain(refused.status);
    }
  }
  expect((await post(`${world.url}/mcp`, access_token, call, harmless)).status).toBe(403);
  expect(upstream.seen).toHaveLength(0);
  expect((await post(`${world.url}/mcp`, access_token, [list])).status).toBe(200);
});

test("TP-12: modern headers have to say what the body says, once", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const version = "2026-07-28";
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 9,
    method: "tools/call",
    params: { name: "harmful", _meta: modernMeta },
  });
  const escaped = body.replace('"name"', '"n\\u0061me"').replace('"harmful"', '"h\\u0061rmful"');
  const lines = (...more: string[]) =>
    [
      "POST /mcp HTTP/1.1",
      `Host: ${new URL(world.url).host}`,
      `Authorization: Bearer ${access_token}`,
      "Content-Type: application/json",
      "Connection: close",
      ...more,
    ].join("\r\n");
  const sent = (text: string, ...more: string[]) =>
    sendRaw(world.url, `${lines(...more, `Content-Length: ${text.length}`)}\r\n\r\n${text}`);
  const right = [`MCP-Protocol-Version: ${version}`, "Mcp-Method: tools/call"];
  const wrong: readonly (readonly string[])[] = [
    [...right, "Mcp-Name: harmless"],
    [...right, "Mcp-Name: harmless", "Mcp-Name: harmful"],
    [...right, "Mcp-Name: harmful", "Mcp-Name: harmless"],
    [...right, "Mcp-Name: harmful", "mcp-name: harmful"],
    [...right, "Mcp-Method: tools/list", "Mcp-Name: harmful"],
    [...right, "MCP-Protocol-Version: 2025-11-25", "Mcp-Name: harmful"],
    ["MCP-Protocol-Version: 2025-11-25", "Mcp-Method: tools/call", "Mcp-Name: harmful"],
    ["Mcp-Method: tools/call", "Mcp-Name: harmful"],
    [...right, "Mcp-Name: =?base64?aGFybWxlc3M=?="],
  ];
  for (const headers of wrong) {
    for (const text of [body, escaped]) {
      const answer = await sent(text, ...headers);
      expect(statusesIn(answer)).toEqual([400]);
      expect(answer).toContain("-32020");
    }
  }
  expect(upstream.seen).toHaveLength(0);
  for (const text of [body, escaped]) {
    expect(statusesIn(await sent(text, ...right, "Mcp-Name: harmful"))).toEqual([200]);
  }
});

test("TP-12: a tool that policy forbids stays forbidden, whatever headers, batches and escapes say", async () => {
  await using spied = await openSpied(undefined, {
    rules: { tools: { deny: ["harmful"], pinning: "off" } },
  });
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const send = (body: string, headers = {}) =>
    post(`${world.url}/mcp`, access_token, body, headers);
  const harmful = JSON.stringify(toolCall("harmful"));
  const mirrors = { "mcp-method": "tools/call", "mcp-name": "harmless" };
  const modern = JSON.stringify({
    ...toolCall("harmful"),
    params: { name: "harmful", _meta: modernMeta },
  });
  const twice = harmful.replace('"name":"harmful"', '"name":"harmless","name":"harmful"');
  const tries: Readonly<Record<string, Promise<Response>>> = {
    plainly: send(harmful),
    "with mirrors that say otherwise": send(harmful, mirrors),
    "to a list, by its header": send(harmful, { "mcp-method": "tools/list" }),
    "as a modern call": send(modern, { ...mirrors, "mcp-protocol-version": "2026-07-28" }),
    "in a batch": send(`[${JSON.stringify(toolCall("harmless"))},${harmful}]`),
    "with an escaped name": send(harmful.replace("harmful", "h\\u0061rmful")),
    "with the name twice": send(twice),
    "with the name twice, escaped": send(twice.replace('"name"', '"n\\u0061me"')),
    "as a notification": send(
      JSON.stringify({ jsonrpc: "2.0", method: "tools/call", params: { name: "harmful" } }),
    ),
  };
  for (const [how, answering] of Object.entries(tries)) {
    const answer = await answering;
    expect([how, await answer.text()]).toEqual([
      how,
      expect.stringMatching(/tool_refused|header_mismatch|message_invalid/),
    ]);
  }
  expect(upstream.seen).toHaveLength(0);
  expect((await send(JSON.stringify(toolCall("harmless")))).status).toBe(200);
});

test("TP-12: a body is what it was judged as: its sender's charset and type stay here", async () => {
  await using spied = await openSpied();
  const { access_token } = (await authorizedAgent(spied.world.url)).tokens;
  for (const type of [
    "application/json; charset=utf-7",
    "application/json;charset=utf-16",
    "text/plain",
  ]) {
    await post(`${spied.world.url}/mcp`, access_token, toolCall("harmless"), {
      "content-type": type,
    });
    expect(spied.upstream.seen.at(-1)?.headers.get("content-type")).toBe("application/json");
  }
});
