import { expect, test } from "bun:test";
import { runBeside } from "#test/cli/run.ts";
import { modernMeta } from "#test/attacks/setup.ts";
import { authorizedAgent, formIn } from "#test/support/agent-like.ts";
import { type Visitor, connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type Guarded, call, destructive, listed, openGuarded, reading, tool } from "./setup.ts";

type Arguments = Readonly<Record<string, unknown>>;

const tools = [
  tool("get_item", reading),
  tool("drop", destructive),
  tool("answer", { readOnlyHint: false }),
];

/** A guarded world whose agent has a person. */
async function opened(rules: Readonly<Record<string, unknown>> = {}, environment = {}) {
  const guarded = await openGuarded({ tools }, environment, rules);
  const agent = await authorizedAgent(guarded.world.url);
  const at = { url: `${guarded.world.url}/mcp`, bearer: agent.tokens.access_token };
  await listed(at);
  return { guarded, agent, at, [Symbol.asyncDispose]: () => guarded[Symbol.asyncDispose]() };
}

type At = { readonly url: string; readonly bearer: string };

async function modernCall(at: At, name: string, args: Arguments, more: object = {}) {
  const meta = {
    ...modernMeta,
    "io.modelcontextprotocol/clientCapabilities": { elicitation: { url: {} } },
  };
  const message = {
    ...toolCall(name, args),
    params: { name, arguments: args, _meta: meta, ...more },
  };
  const headers = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": name,
  };
  const answer = await post(at.url, at.bearer, message, headers);
  return (await answer.json()) as {
    result?: {
      resultType?: string;
      requestState?: string;
      inputRequests?: Record<string, { params: { url: string } }>;
    };
    error?: { data: { code: string } };
  };
}

function linkIn(text: string): string {
  return /https?:\/\/[^\s"\\]+\/approvals\/[0-9a-f-]{36}/.exec(text)?.[0] ?? "";
}

async function answer(visitor: Visitor, link: string, extent: string): Promise<Response> {
  const form = formIn(await (await visitor.get(link)).text());
  return await visitor.post(link, { form_token: form["form_token"] ?? "", extent });
}

test("a destructive call waits for the person of its account, once, and then goes to the upstream as it was", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  const args = { id: 12345678901234567890n.toString(), note: "<b>all</b>" };
  const first = await call(at, "drop", args);
  expect([first.status, first.code]).toEqual([200, "approval_needed"]);
  expect(first.text).toContain('"isError":true');
  const link = linkIn(first.text);
  expect(guarded.reached()).toBe(0);
  // Asking again asks nothing new.
  expect(linkIn((await call(at, "drop", args)).text)).toBe(link);

  const page = await (await agent.visitor.get(link)).text();
  expect(page).toContain("Test agent wants to use drop");
  expect(page).toContain("12345678901234567890");
  expect(page).toContain("&lt;b&gt;all&lt;/b&gt;");
  expect((await answer(agent.visitor, link, "once")).status).toBe(200);
  expect((await call(at, "drop", { ...args, note: "other" })).code).toBe("approval_needed");
  expect((await call(at, "drop", args)).code).toBeUndefined();
  expect(guarded.reached()).toBe(1);
  expect((await call(at, "drop", args)).code).toBe("approval_needed");
  expect(guarded.reached()).toBe(1);
  // Other tools were never asked about.
  expect((await call(at, "answer")).code).toBeUndefined();
  const rows = await guarded.world.app.db.execute(
    "select arguments, state from approvals where state <> 'pending'",
  );
  expect([...rows]).toEqual([{ arguments: null, state: "used" }]);
});

test("a modern client is asked with a link and a sealed state that works for this very call alone", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  const asked = (await modernCall(at, "drop", { id: 1 })).result!;
  expect(asked.resultType).toBe("input_required");
  const question = asked.inputRequests!["smartdash/approve"]!;
  expect(question).toMatchObject({ method: "elicitation/create", params: { mode: "url" } });
  const state = asked.requestState!;
  expect(state).toStartWith("sd_apr_");
  const accepted = {
    inputResponses: { "smartdash/approve": { action: "accept" } },
    requestState: state,
  };
  // Saying yes is not the agent's to do.
  expect((await modernCall(at, "drop", { id: 1 }, accepted)).result?.resultType).toBe(
    "input_required",
  );
  await answer(agent.visitor, question.params.url, "once");

  const other = await authorizedAgent(guarded.world.url, { visitor: agent.visitor });
  const foreign = { ...at, bearer: other.tokens.access_token };
  const flipped = state.slice(0, -4) + (state.endsWith("AAAA") ? "BBBB" : "AAAA");
  for (const [who, name, args, with_] of [
    [foreign, "drop", { id: 1 }, state],
    [at, "drop", { id: 2 }, state],
    [at, "drop", { id: 1 }, flipped],
    [at, "drop", { id: 1 }, "sd_apr_"],
  ] as const) {
    const refused = await modernCall(who, name, args, { ...accepted, requestState: with_ });
    expect(refused.error?.data.code).toBe("message_invalid");
  }
  expect(guarded.reached()).toBe(0);
  expect((await modernCall(at, "drop", { id: 1 }, accepted)).result).toMatchObject({
    content: expect.anything(),
  });
  const sent = guarded.upstream.seen.at(-1)!.body;
  expect(sent).not.toContain("sd_apr_");
  expect(sent).not.toContain("smartdash/approve");
  expect((await modernCall(at, "drop", { id: 1 }, accepted)).result?.resultType).toBe(
    "input_required",
  );
  expect(guarded.reached()).toBe(1);
  // An upstream's own state is none of ours.
  await modernCall(at, "get_item", {}, { requestState: "theirs" });
  expect(guarded.upstream.seen.at(-1)!.body).toContain('"requestState":"theirs"');
});

test("clients of 2025-11-25 are told with -32042, and one yes lets one of twenty identical calls through", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  const answered = await post(at.url, at.bearer, toolCall("drop", { id: 1 }), {
    "mcp-protocol-version": "2025-11-25",
  });
  const { error } = (await answered.json()) as {
    error: { code: number; data: { elicitations: { url: string }[] } };
  };
  expect(error.code).toBe(-32_042);
  await answer(agent.visitor, error.data.elicitations[0]!.url, "once");
  const codes = await Promise.all(
    Array.from({ length: 20 }, async () => (await call(at, "drop", { id: 1 })).code),
  );
  expect(codes.filter((code) => code === undefined)).toHaveLength(1);
  expect(guarded.reached()).toBe(1);
});

test("a yes for an hour or for ever is the tool's, for this agent alone, and can be taken back", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  const link = linkIn((await call(at, "drop", { id: 1 })).text);
  await answer(agent.visitor, link, "hour");
  expect((await call(at, "drop", { id: 1 })).code).toBeUndefined();
  expect((await call(at, "drop", { id: 2 })).code).toBeUndefined();
  const other = await authorizedAgent(guarded.world.url, { visitor: agent.visitor });
  expect((await call({ ...at, bearer: other.tokens.access_token }, "drop", { id: 1 })).code).toBe(
    "approval_needed",
  );
  await guarded.world.app.db.execute(
    "update approvals set expires_at = now() where extent = 'hour'",
  );
  const again = await call(at, "drop", { id: 3 });
  expect(again.code).toBe("approval_needed");
  await answer(agent.visitor, linkIn(again.text), "always");
  expect((await call(at, "drop", { id: 4 })).code).toBeUndefined();
  const home = await (await agent.visitor.get(`${guarded.world.url}/`)).text();
  const action = /action="(\/approvals\/[0-9a-f-]+\/withdraw)"/.exec(home)?.[1] ?? "";
  const { form_token = "" } = formIn(home);
  expect((await agent.visitor.post(`${guarded.world.url}${action}`, { form_token })).status).toBe(
    303,
  );
  expect((await call(at, "drop", { id: 5 })).code).toBe("approval_needed");
});

test("nobody else can answer, twice or late, and a no is a no", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  const { url } = guarded.world;
  const link = linkIn((await call(at, "drop", { id: 1 })).text);
  const stranger = newVisitor();
  expect((await stranger.get(link)).status).toBe(401);
  await connectSeller(stranger, { url, seller: "100200301" });
  expect((await stranger.get(link)).status).toBe(403);
  const theirs = formIn(await (await stranger.get(`${url}/`)).text());
  const forged = { form_token: theirs["form_token"] ?? "", extent: "always" };
  expect((await stranger.post(link, forged)).status).toBe(403);
  expect((await agent.visitor.post(link, { ...forged })).status).toBe(403);
  expect((await call(at, "drop", { id: 1 })).code).toBe("approval_needed");

  expect(await (await answer(agent.visitor, link, "no")).text()).toContain("will not do it");
  expect((await call(at, "drop", { id: 1 })).code).toBe("approval_refused");
  const second = await agent.visitor.post(link, {
    form_token: formIn(await (await agent.visitor.get(`${url}/`)).text())["form_token"] ?? "",
    extent: "once",
  });
  expect(await second.text()).toContain("was answered");
  expect((await call(at, "drop", { id: 1 })).code).toBe("approval_refused");
  const late = linkIn((await call(at, "drop", { id: 2 })).text);
  await guarded.world.app.db.execute("update approvals set expires_at = now()");
  expect(await (await agent.visitor.get(late)).text()).toContain("older than ten minutes");
  expect(guarded.reached()).toBe(0);
});

test("questions are bounded, batches and endless arguments are refused, policies ask about other tools too", async () => {
  await using world = await opened({ tools: { approve: ["answer"] } });
  const { guarded, at } = world;
  for (let id = 0; id < 20; id += 1)
    expect(linkIn((await call(at, "drop", { id })).text)).not.toBe("");
  const more = await call(at, "drop", { id: 20 });
  expect([more.code, linkIn(more.text)]).toEqual(["approval_needed", ""]);
  const batch = await post(at.url, at.bearer, [
    toolCall("drop", {}, 1),
    toolCall("get_item", {}, 2),
  ]);
  expect(batch.status).toBe(403);
  expect((await call(at, "drop", { text: "x".repeat(20_000) })).code).toBe("tool_refused");
  expect((await call(at, "answer", {})).code).toBe("approval_needed");
  expect(guarded.reached()).toBe(0);
});

test("a yes for once is given back when the upstream asks something first", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  guarded.offer.call = () => ({
    resultType: "input_required",
    inputRequests: {},
    requestState: "theirs",
  });
  await answer(agent.visitor, linkIn((await call(at, "drop", { id: 1 })).text), "once");
  expect((await modernCall(at, "drop", { id: 1 })).result?.requestState).toBe("theirs");
  await Bun.sleep(100);
  guarded.offer.call = () => ({ content: [] });
  expect((await call(at, "drop", { id: 1 })).code).toBeUndefined();
  expect((await call(at, "drop", { id: 1 })).code).toBe("approval_needed");
});

test("the operator answers for agents without a person, and sees what waits", async () => {
  await using guarded: Guarded = await openGuarded({ tools }, {}, { credential: "none" });
  const { world } = guarded;
  const added = await runBeside(world, [
    "agents",
    "add",
    "--name",
    "Robot",
    "--scope",
    "mcp:call",
    "--json",
  ]);
  const { client_id, client_secret } = added.json as Record<string, string>;
  const token = await fetch(`${world.url}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(`${client_id}:${client_secret}`)}` },
    body: new URLSearchParams({ grant_type: "client_credentials", resource: `${world.url}/mcp` }),
  });
  const { access_token: bearer } = (await token.json()) as { access_token: string };
  const at = { url: `${world.url}/mcp`, bearer };
  await listed(at);
  const asked = await call(at, "drop", { id: 7 });
  expect(asked.code).toBe("approval_needed");
  const id = /approvals allow ([0-9a-f-]{36})/.exec(asked.text)?.[1] ?? "";
  const shown = await runBeside(world, ["approvals", "list", "--arguments", "--json"]);
  expect(shown.json["pending"]).toMatchObject([
    { id, agent: "Robot", tool: "drop", arguments: '{"id":7}' },
  ]);
  expect((await runBeside(world, ["approvals", "allow", id, "--for", "never"])).exit).toBe(2);
  expect((await runBeside(world, ["approvals", "allow", id])).exit).toBe(0);
  expect((await runBeside(world, ["approvals", "allow", id])).exit).toBe(2);
  expect((await call(at, "drop", { id: 7 })).code).toBeUndefined();
  expect(guarded.reached()).toBe(1);
});

test("a standing yes holds for calls at the same time, and words in a result give no yes back", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  guarded.offer.call = () => ({ content: [], structuredContent: { status: "input_required" } });
  await answer(agent.visitor, linkIn((await call(at, "drop", { id: 1 })).text), "once");
  const once = await Promise.all([1, 2, 3].map(() => call(at, "drop", { id: 1 })));
  expect(once.filter(({ code }) => code === undefined)).toHaveLength(1);
  expect((await call(at, "drop", { id: 1 })).code).toBe("approval_needed");
  await answer(agent.visitor, linkIn((await call(at, "drop", { id: 2 })).text), "always");
  const many = await Promise.all(Array.from({ length: 20 }, (_, id) => call(at, "drop", { id })));
  expect(many.filter(({ code }) => code !== undefined)).toEqual([]);
});

test("what was allowed for longer is its person's to take back, and once taken back or over, nobody's", async () => {
  await using world = await opened();
  const { guarded, agent, at } = world;
  const { url } = guarded.world;
  const link = linkIn((await call(at, "drop", { id: 1 })).text);
  await answer(agent.visitor, link, "hour");
  const stranger = newVisitor();
  await connectSeller(stranger, { url, seller: "100200301" });
  const withdrawn = async (visitor: Visitor) => {
    const { form_token = "" } = formIn(await (await visitor.get(`${url}/`)).text());
    return (await visitor.post(`${link}/withdraw`, { form_token })).status;
  };
  expect(await withdrawn(stranger)).toBe(303);
  expect((await call(at, "drop", { id: 2 })).code).toBeUndefined();
  expect(await withdrawn(agent.visitor)).toBe(303);
  expect((await call(at, "drop", { id: 3 })).code).toBe("approval_needed");
  const id = link.split("/").at(-1) ?? "";
  const again = await runBeside(guarded.world, ["approvals", "withdraw", id]);
  expect(again.exit).toBe(2);
  await guarded.world.app.db.execute("update approvals set state = 'approved', expires_at = now()");
  expect((await runBeside(guarded.world, ["approvals", "withdraw", id])).exit).toBe(2);
});

test("a question spends nothing of a budget, and a call that went through does", async () => {
  await using guarded = await openGuarded({ tools }, { SMARTDASH_BUDGETS: "agent=2/day" });
  await listed(guarded);
  for (let id = 0; id < 5; id += 1)
    expect((await call(guarded, "drop", { id })).code).toBe("approval_needed");
  for (let id = 0; id < 2; id += 1)
    expect((await call(guarded, "get_item", { id })).code).toBeUndefined();
  expect((await call(guarded, "get_item", { id: 2 })).code).toBe("budget_spent");
});

test("a question is open for ten minutes however often it is asked", async () => {
  await using world = await opened();
  const { guarded, at } = world;
  await call(at, "drop", { id: 1 });
  await guarded.world.app.db.execute(
    "update approvals set expires_at = now() + interval '3 seconds'",
  );
  await call(at, "drop", { id: 1 });
  const [row] = await guarded.world.app.db.execute<{ seconds: number }>(
    "select extract(epoch from expires_at - now())::int as seconds from approvals",
  );
  expect(row?.seconds).toBeLessThanOrEqual(3);
});

test("where changes are only reported, a tool that has become destructive is asked about and hidden from readers", async () => {
  for (const how of ["approval", "rules"] as const) {
    const rules = how === "rules" ? { tools: { allow: ["@read-only"] } } : {};
    await using guarded = await openGuarded(
      { tools: [tool("get_item", reading)] },
      { SMARTDASH_TOOL_PINNING: "report" },
      rules,
    );
    await listed(guarded);
    guarded.offer.tools = [tool("get_item", destructive), tool("fresh", destructive)];
    expect(await listed(guarded)).toEqual(how === "rules" ? [] : ["get_item", "fresh"]);
    const wanted = how === "rules" ? "tool_refused" : "approval_needed";
    for (const name of ["get_item", "fresh"]) expect((await call(guarded, name)).code).toBe(wanted);
    // Nobody has seen what it does.
    expect((await call(guarded, "never_shown")).code).toBe(wanted);
  }
});
