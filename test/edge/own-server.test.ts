import { expect, test } from "bun:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { newBearer } from "#test/support/browser-like.ts";
import { befriend, callTool, openNode } from "./nodes.ts";

type Text = { readonly text: string };

test("a node is an MCP server of its own, for agents of the operator alone, in both eras", async () => {
  await using node = await openNode("first", { LOG_LEVEL: "info" });
  const bearer = await node.bearer();
  for (const mode of ["legacy", "auto"] as const) {
    const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
    const requestInit = { headers: { authorization: `Bearer ${bearer}` } };
    const transport = new StreamableHTTPClientTransport(new URL(`${node.url}/mcp/node`), {
      requestInit,
    });
    await client.connect(transport);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name).toSorted()).toEqual(["get_status", "list_peers"]);
    const status = await client.callTool({ name: "get_status", arguments: {} });
    expect(status.structuredContent).toMatchObject({
      node_id: node.nodeId,
      database: { status: "pass" },
    });
    const { resources } = await client.listResources();
    expect(resources.map(({ uri }) => uri)).toContain("edge-hive://logs/warn");
    const log = await client.readResource({ uri: "edge-hive://logs/all" });
    expect(JSON.stringify(log)).toContain("token_issued");
    expect(JSON.stringify(log)).not.toContain(bearer);
    await client.close();
  }
  // What the document says is what there is.
  const info = await fetch(`${node.url}/mcp/node/${node.nodeId}/info`);
  expect(await info.json()).toMatchObject({
    capabilities: { mcp: { supported_tools: ["get_status", "list_peers"] } },
  });
  const read = await fetch(
    `${node.url}/mcp/node/${node.nodeId}/resources/${encodeURIComponent("edge-hive://peers")}`,
    { headers: { authorization: `Bearer ${bearer}` } },
  );
  const { contents } = (await read.json()) as { contents: readonly Text[] };
  expect(JSON.parse(contents[0]?.text ?? "")).toEqual({ peers: [] });
});

test("a person's bearer opens neither the node nor what is behind it", async () => {
  await using node = await openNode("first");
  await using other = await openNode("other");
  await befriend(node, other);
  const persons = await newBearer({ url: node.url });
  const post = (path: string, body: unknown) =>
    fetch(`${node.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${persons}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const own = await post("/mcp/node", list);
  expect([own.status, await own.text()]).toEqual([
    403,
    expect.stringContaining("operator_agents_only"),
  ]);
  expect((await post(`/mcp/node/${other.nodeId}/tools/call`, { name: "x" })).status).toBe(404);
  const headers = { authorization: `Bearer ${persons}` };
  for (const path of ["/discovery/peers", "/discovery/announce"]) {
    expect([path, (await fetch(`${node.url}${path}`, { headers })).status]).toEqual([path, 403]);
  }
  expect((await post(`/discovery/connect/${other.peerId}`, {})).status).toBe(403);
  // Nor may an agent of the operator whose token is for another MCP server.
  const shop = await node.bearer("shop");
  expect((await callTool(node, shop, { name: "x" })).status).toBe(200);
  expect((await callTool(node, shop, { node: other.nodeId, name: "x" })).status).toBe(401);
});
