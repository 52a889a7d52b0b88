import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { authorizedAgent, refresh, type Tokens } from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { openWorld, type World } from "#test/support/world.ts";

async function renewed(url: string, clientId: string, refreshToken: string): Promise<Tokens> {
  const answer = await refresh(url, { clientId, refreshToken });
  const body = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${body}`);
  return JSON.parse(body) as Tokens;
}

async function refusedAs(url: string, clientId: string, refreshToken: string): Promise<string> {
  const answer = await refresh(url, { clientId, refreshToken });
  expect(answer.status).toBe(400);
  return ((await answer.json()) as { error: string }).error;
}

/** Moves what has happened so far into the past. */
async function age(world: World, seconds: number): Promise<void> {
  await world.app.db.execute(
    sql`update refresh_tokens set rotated_at = rotated_at - ${seconds} * interval '1 second'`,
  );
}

async function worksAt(world: World, tokens: Tokens): Promise<boolean> {
  return (await post(`${world.url}/mcp`, tokens.access_token, toolCall("whoami"))).status === 200;
}

test("an identical retry within 30 seconds gets the very same pair", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  const first = await renewed(world.url, clientId, tokens.refresh_token);
  const second = await renewed(world.url, clientId, tokens.refresh_token);
  expect(second).toEqual(first);
  expect(await worksAt(world, first)).toBe(true);
});

test("twenty refreshes at once, on two gateways, bring one successor and end nothing", async () => {
  await using world = await openWorld();
  await using other = await secondGateway(world);
  const { clientId, tokens } = await authorizedAgent(world.url);
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      renewed(index % 2 === 0 ? world.url : other.url, clientId, tokens.refresh_token),
    ),
  );
  expect(new Set(all.map((each) => each.refresh_token)).size).toBe(1);
  expect(new Set(all.map((each) => each.access_token)).size).toBe(1);
  const next = await renewed(other.url, clientId, all[0]!.refresh_token);
  expect(await worksAt(world, next)).toBe(true);
});

test("the previous token stays good until its successor is first used", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  const lost = await renewed(world.url, clientId, tokens.refresh_token);
  await age(world, 3600);
  const again = await renewed(world.url, clientId, tokens.refresh_token);
  expect(again.refresh_token).toBe(lost.refresh_token);
  expect(again.access_token).not.toBe(lost.access_token);
  expect(await worksAt(world, again)).toBe(true);
});

test("a token that comes after its successor was used ends the whole family", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  const second = await renewed(world.url, clientId, tokens.refresh_token);
  const third = await renewed(world.url, clientId, second.refresh_token);
  expect(await worksAt(world, third)).toBe(true);
  await age(world, 31);
  expect(await refusedAs(world.url, clientId, tokens.refresh_token)).toBe("invalid_grant");
  expect(await refusedAs(world.url, clientId, third.refresh_token)).toBe("invalid_grant");
  expect(await worksAt(world, third)).toBe(false);
});

test("another client's refresh token is worth nothing, and stays good for its owner", async () => {
  await using world = await openWorld();
  const mine = await authorizedAgent(world.url);
  const theirs = await authorizedAgent(world.url, { visitor: mine.visitor });
  expect(await refusedAs(world.url, theirs.clientId, mine.tokens.refresh_token)).toBe(
    "invalid_grant",
  );
  await renewed(world.url, mine.clientId, mine.tokens.refresh_token);
});

test("a refresh may ask for less, never for more", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url, {
    query: { scope: "mcp:read mcp:call" },
  });
  expect(tokens.scope).toBe("mcp:read mcp:call");
  const more = await refresh(world.url, {
    clientId,
    refreshToken: tokens.refresh_token,
    more: { scope: "mcp:read mcp:resources" },
  });
  expect(await more.json()).toMatchObject({ error: "invalid_scope" });
  const less = await refresh(world.url, {
    clientId,
    refreshToken: tokens.refresh_token,
    more: { scope: "mcp:read" },
  });
  const narrowed = (await less.json()) as Tokens;
  expect(narrowed.scope).toBe("mcp:read");
  const refused = await post(`${world.url}/mcp`, narrowed.access_token, toolCall("whoami"));
  expect(refused.status).toBe(403);
  expect(refused.headers.get("www-authenticate")).toContain('scope="mcp:read mcp:call"');
});

test("a refresh token ends 60 days after it was last used", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  await world.app.db.execute(
    sql`update refresh_tokens set expires_at = now() - interval '1 second'`,
  );
  expect(await refusedAs(world.url, clientId, tokens.refresh_token)).toBe("invalid_grant");
});

test("refresh tokens, codes and client secrets are kept as fingerprints alone", async () => {
  await using world = await openWorld();
  const { tokens, code } = await authorizedAgent(world.url);
  for (const table of ["refresh_tokens", "authorization_codes", "grants", "agents", "endings"]) {
    const [row] = await world.app.db.execute<{ all: string }>(
      sql`select coalesce(string_agg(t::text, ' '), '') as all from ${sql.identifier(table)} t`,
    );
    for (const secret of [tokens.refresh_token, code, tokens.access_token]) {
      expect(row?.all).not.toContain(secret);
      expect(row?.all).not.toContain(Buffer.from(secret).toString("hex"));
    }
  }
});
