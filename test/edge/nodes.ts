import { sql } from "drizzle-orm";
import type { Environment } from "#src/config/read.ts";
import { type Ran, runBeside } from "#test/cli/run.ts";
import { type ScriptedUpstream, scriptedUpstream } from "#test/support/upstream.ts";
import { until } from "#test/support/until.ts";
import { type World, openWorld } from "#test/support/world.ts";

/** For gateways that made their certificate themselves. */
export const anyCertificate = { tls: { rejectUnauthorized: false } };

export type NodeNames = { readonly nodeId: string; readonly peerId: string };

/** A gateway that is a node: its own database, key and MCP server, which says who it is. */
export type TestNode = AsyncDisposable &
  NodeNames & {
    readonly world: World;
    readonly url: string;
    /** What has reached the MCP server behind it. */
    readonly shop: ScriptedUpstream;
    run(...words: readonly string[]): Promise<Ran>;
    /** A bearer of an agent of the operator, for one MCP server here; the node's own unless said. */
    bearer(upstream?: string): Promise<string>;
  };

/** The MCP server behind a node: every tool answers with the node's name. */
export async function openNode(
  name: string,
  environment: Environment = {},
  answer?: (request: Request) => Response | Promise<Response>,
): Promise<TestNode> {
  const shop = scriptedUpstream(answer ?? ((request) => answerAs(name, request)));
  const world = await openWorld({
    environment: {
      SMARTDASH_EDGE: "on",
      SMARTDASH_DEFAULT_UPSTREAM: "shop",
      SMARTDASH_UPSTREAMS: JSON.stringify({ shop: { url: shop.url, credential: "none" } }),
      ...environment,
    },
  });
  const run = (...words: readonly string[]) => runBeside(world, words);
  const { nodeId, peerId } = (await run("node", "show", "--json")).json as NodeNames;
  return {
    world,
    url: world.url,
    shop,
    nodeId,
    peerId,
    run,
    bearer: (upstream = "node") => bearerAt({ url: world.url, run }, upstream),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await shop[Symbol.asyncDispose]();
    },
  };
}

async function answerAs(name: string, request: Request): Promise<Response> {
  const { id, method, params } = (await request.json()) as {
    id: number;
    method: string;
    params?: { name?: string };
  };
  const text = `${name} ${params?.name ?? method}`;
  return Response.json({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text }] } });
}

async function bearerAt(
  { url, run }: Pick<TestNode, "url" | "run">,
  upstream: string,
): Promise<string> {
  const made = await run("agents", "add", "--name", "Test agent", "--json");
  const { client_id, client_secret } = made.json as { client_id: string; client_secret: string };
  const answer = await fetch(`${url}/token`, {
    method: "POST",
    ...anyCertificate,
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id,
      client_secret,
      resource: `${url}/mcp/${upstream}`,
    }),
  });
  return ((await answer.json()) as { access_token: string }).access_token;
}

/** Resolves when `at` has met `other` on the network, and the other way round. */
export async function found(at: TestNode, other: TestNode): Promise<void> {
  for (const [here, there] of [
    [at, other],
    [other, at],
  ] as const) {
    await until(async () => {
      const [row] = await here.world.app.db.execute(
        sql`select 1 from sightings where peer_id = ${there.peerId}`,
      );
      return row;
    }, `${here.nodeId} meets ${there.nodeId}`);
  }
}

/** Both trust each other, at their addresses. */
export async function befriend(left: TestNode, right: TestNode): Promise<void> {
  await left.run("peers", "trust", right.peerId, "--address", right.url);
  await right.run("peers", "trust", left.peerId, "--address", left.url);
}

/** Calls a tool with its name alone. */
export function callTool(
  at: { readonly url: string },
  bearer: string,
  called: { readonly node?: string; readonly name: string },
): Promise<Response> {
  const path =
    called.node === undefined ? "/mcp/tools/call" : `/mcp/node/${called.node}/tools/call`;
  return fetch(`${at.url}${path}`, {
    method: "POST",
    ...anyCertificate,
    headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
    body: JSON.stringify({ name: called.name }),
  });
}
