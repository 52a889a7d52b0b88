import { expect, test } from "bun:test";
import { policyIdOf } from "#src/oauth-server/grants/consent.ts";
import { stopAgent } from "#src/policy/switches.ts";
import { runBeside } from "#test/cli/run.ts";
import { allActed } from "#test/support/acknowledged.ts";
import { authorizeUrl, authorizedAgent, newPkce } from "#test/support/agent-like.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { call } from "./setup.ts";

const anything = async (request: Request) => {
  const { id } = (await request.json()) as { id: number };
  return Response.json({ jsonrpc: "2.0", id, result: { content: [] } });
};

/** A client that was allowed, and the same one with a new permission, which it gets without a question. */
async function renewed(world: World) {
  const agent = await authorizedAgent(world.url);
  const at = { url: `${world.url}/mcp`, bearer: agent.tokens.access_token };
  const again = async () => {
    const { visitor, clientId } = agent;
    const { tokens } = await authorizedAgent(world.url, { visitor, clientId });
    return { url: at.url, bearer: tokens.access_token };
  };
  const grants = await world.app.db.execute<Record<string, string>>("select * from grants");
  return { agent, at, again, grant: grants[0]! };
}

test("the id of policy is the same for a person, a client, an upstream and an account, here as in the database", async () => {
  await using world = await openWorld();
  const { grant, again } = await renewed(world);
  await again();
  const rows = await world.app.db.execute<{ id: string; policy_id: string }>(
    "select * from grants",
  );
  expect(rows).toHaveLength(2);
  const mine = policyIdOf({
    personId: grant["person_id"]!,
    accountId: grant["account_id"]!,
    upstream: grant["upstream"]!,
    clientId: grant["client_id"]!,
  });
  expect(rows.map(({ policy_id: id }) => id)).toEqual([mine, mine]);
  const other = await authorizedAgent(world.url, { seller: "100200301" });
  expect(other.clientId).not.toBe(grant["client_id"]);
  const all = await world.app.db.execute<{ policy_id: string }>(
    "select distinct policy_id from grants",
  );
  expect(all).toHaveLength(2);
});

test("a limit and a budget go on where they were for a client that is allowed anew", async () => {
  await using upstream = scriptedUpstream(anything);
  await using world = await openWorld({
    environment: {
      ...pointedAt(upstream.url),
      SMARTDASH_LIMITS: "agent=3/600s",
      SMARTDASH_BUDGETS: "agent=5/day",
    },
  });
  const { at, again } = await renewed(world);
  for (let id = 0; id < 3; id += 1) expect((await call(at, "x", { id })).status).toBe(200);
  expect((await call(at, "x", { id: 4 })).code).toBe("rate_limited");
  const next = await again();
  expect((await call(next, "x", { id: 5 })).code).toBe("rate_limited");
  const shown = await runBeside(world, ["budgets", "--json"]);
  const used = (shown.json["budgets"] as { used: number }[]).map(({ used: calls }) => calls);
  expect(used).toEqual([3]);
});

test("a client that was stopped gets no new permission without a question, and the person is told why", async () => {
  await using upstream = scriptedUpstream(anything);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const { agent, at, grant } = await renewed(world);
  await stopAgent(world.app, `grant:${grant["policy_id"]}`, "it has called list_orders 40 times");
  await allActed(world.app.db);
  expect((await call(at, "x")).code).toBe("agent_stopped");
  const asked = { url: world.url, clientId: agent.clientId, pkce: newPkce() };
  const page = await agent.visitor.get(authorizeUrl(asked));
  expect(page.status).toBe(200);
  const text = await page.text();
  expect(text).toContain("it has called list_orders 40 times");
  // A client that may not ask is told so.
  const silent = await agent.visitor.get(authorizeUrl({ ...asked, query: { prompt: "none" } }));
  expect(silent.headers.get("location")).toContain("error=interaction_required");
  // Until the person has answered, the older permission is stopped as well; then both go on.
  expect((await call(at, "x")).code).toBe("agent_stopped");
  const { visitor, clientId } = agent;
  const { tokens } = await authorizedAgent(world.url, { visitor, clientId });
  await allActed(world.app.db);
  const next = { url: at.url, bearer: tokens.access_token };
  for (const which of [at, next]) expect((await call(which, "x")).status).toBe(200);
});

test("what the operator has switched off by the id of any permission is off for the next one too, whatever the person says", async () => {
  await using upstream = scriptedUpstream(anything);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const { agent, again, grant } = await renewed(world);
  const off = await runBeside(world, ["switch", "off", `grant:${grant["id"]}`, "--json"]);
  expect(off.json).toMatchObject({ subject: `grant:${grant["policy_id"]}`, isKnown: true });
  const page = await agent.visitor.get(
    authorizeUrl({ url: world.url, clientId: agent.clientId, pkce: newPkce() }),
  );
  expect(await page.text()).toMatch(/desactivado este agente|switched this agent off/);
  const next = await again();
  expect((await call(next, "x")).code).toBe("switched_off");
  const on = await runBeside(world, ["switch", "on", `grant:${grant["id"]}`, "--json"]);
  expect(on.json).toMatchObject({ wasOff: true });
  expect((await call(next, "x")).status).toBe(200);
  // A policy of tools is found by the id of any permission, too.
  await runBeside(world, ["tools", "policy", `grant:${grant["id"]}`, "--deny", "x"]);
  expect((await call(next, "x")).code).toBe("tool_refused");
});
