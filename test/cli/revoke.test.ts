import { expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { roomFor } from "#test/support/room.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { runBeside } from "./run.ts";

/** Time in line counts too. */
setDefaultTimeout(120_000);

const room = roomFor(3);

async function only(world: World, table: string): Promise<string> {
  const [row] = await world.app.db.execute<{ id: string }>(
    sql`select id from ${sql.identifier(table)} limit 1`,
  );
  return row?.id ?? "";
}

/** A seller, a session, a grant with a refresh token, and an agent of the operator. */
async function inhabited(world: World) {
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const bearer = await mintBearer(visitor, world.url);
  await world.app.db.execute(sql`
    with g as (insert into grants (id, person_id, account_id, client_id, client_name, upstream, resource, scope, activated_at)
      select gen_random_uuid(), person_id, id, 'client-1', 'c', 'mercadolibre', 'x', 'x', now() from accounts returning id)
    insert into refresh_tokens (fingerprint, grant_id, expires_at) select '\\x01'::bytea, id, now() + interval '1 day' from g`);
  await runBeside(world, ["agents", "add", "--name", "x", "--account", "mercadolibre:100200300"]);
  return { bearer };
}

const counted = { liveTokensLeft: 0, streamsCut: 0 };

test.concurrent.each([
  ["session", (world: World) => only(world, "sessions"), { sessions: 1, grants: 0 }],
  ["grant", (world: World) => only(world, "grants"), { sessions: 0, grants: 1 }],
  ["agent", () => Promise.resolve("client-1"), { sessions: 0, grants: 1 }],
  ["person", (world: World) => only(world, "people"), { sessions: 1, grants: 1, agents: 1 }],
  ["provider", () => Promise.resolve("mercadolibre"), { sessions: 1, grants: 1, agents: 1 }],
  ["account", (world: World) => only(world, "accounts"), { sessions: 1, grants: 1, agents: 1 }],
] as const)(
  "revoke --%s says what would end, ends it, and counts that nothing is left",
  async (kind, named, ends) => {
    await using world = await room.hold(openWorld);
    await inhabited(world);
    const words = ["revoke", `--${kind}`, await named(world)];
    const asked = await runBeside(world, words);
    expect(asked.exit).toBe(2);
    expect(asked.stderr).toContain("Nothing was changed");
    const done = await runBeside(world, [...words, "--yes", "--json"]);
    expect({ exit: done.exit, ...done.json }).toMatchObject({ exit: 0, kind, ...ends, ...counted });
    if (kind === "person") {
      expect(await world.app.db.execute(sql`select id from sign_ins`)).toHaveLength(0);
      expect(done.json["left"]).toMatchObject({ accounts: 0, signIns: 0 });
    }
    const left = await world.app.db.execute<{ sessions: number; grants: number }>(sql`
    select (select count(*)::int from sessions where ended_at is null) as sessions,
      (select count(*)::int from grants where ended_at is null) as grants`);
    expect(left[0]).toEqual({
      sessions: ends.sessions === 1 ? 0 : 1,
      grants: ends.grants === 1 ? 0 : 1,
    });
  },
);

test.concurrent("streams on every gateway are cut and counted", async () => {
  const open = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode("data: {}\n\n")),
      }),
      { headers: { "content-type": "text/event-stream" } },
    );
  await using upstream = scriptedUpstream(open);
  await using world = await room.hold(() => openWorld({ environment: pointedAt(upstream.url) }));
  await using second = await secondGateway(world);
  const { bearer } = await inhabited(world);
  const answers = await Promise.all(
    [world.url, world.url, second.url].map((url) => post(`${url}/mcp`, bearer, toolCall("x"))),
  );
  const texts = answers.map((answer) => answer.text());
  const done = await runBeside(world, [
    "revoke",
    "--session",
    await only(world, "sessions"),
    "--yes",
    "--json",
  ]);
  expect(done.json).toMatchObject({ liveTokensLeft: 0, streamsCut: 3 });
  for (const text of await Promise.all(texts)) expect(text).toContain("bearer_invalid");
});

test.concurrent("a wish that names nothing, two things, or nobody is refused", async () => {
  await using world = await room.hold(openWorld);
  const wishes = [
    [["revoke"], 2, "exactly one option"],
    [["revoke", "--session", "x", "--grant", "y"], 2, "exactly one option"],
    [["revoke", "--session", "x"], 2, "is named by its id"],
    [["revoke", "--session", "00000000-0000-7000-8000-000000000000"], 1, "Unknown session"],
    [["revoke", "--provider", "nowhere"], 2, "Known: mercadolibre"],
    [["revoke", "--agent", "nobody"], 1, "Unknown agent"],
  ] as const;
  for (const [words, exit, says] of wishes) {
    const refused = await runBeside(world, words);
    expect([words, refused.exit]).toEqual([words, exit]);
    expect(refused.stderr).toContain(says);
  }
});
