import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { sql } from "drizzle-orm";
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSeal } from "#src/crypto/seal.ts";
import { sealedColumns } from "#src/operations/keys/store.ts";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { addCrowd } from "#test/support/crowd.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { type World, encryptionKey, openWorld } from "#test/support/world.ts";
import { binary, root, start } from "./program.ts";

const newKey = hash("sha256", "another key", "base64");

/** The compiled binary, with these keys. */
async function run(world: World, keys: string, ...words: string[]) {
  const environment = { ...world.environment, PUBLIC_URL: world.url, ENCRYPTION_KEY: keys };
  await using program = start([binary(), ...words], { cwd: root, environment });
  const { exit, stdout, stderr } = await program.ended();
  return { exit, stdout, stderr };
}

type Report = { status: string; findings: { code: string; status: string; message: string }[] };

async function check(world: World, keys: string): Promise<{ exit: number; failed: string[] }> {
  const { exit, stdout } = await run(world, keys, "check", "--json", "--quick", "--offline");
  const report = JSON.parse(stdout) as Report;
  const failed = report.findings.filter(({ status }) => status === "fail");
  return { exit, failed: [...new Set(failed.map(({ code }) => code))] };
}

test("every sealed column of the schema is sealed anew", () => {
  const schema = [...new Glob("db/schema/*.ts").scanSync({ cwd: root })]
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  const named = [...schema.matchAll(/bytes\("(\w+)"\)/g)].map((match) => match[1] ?? "");
  const sealed = named.filter((name) => !/fingerprint|predecessor|digests|link|before/.test(name));
  expect(sealed.toSorted()).toEqual(sealedColumns.map(({ column }) => column).toSorted());
});

describe("a new encryption key", () => {
  test("takes over while gateways serve, and the old one can go", async () => {
    await using world = await openWorld();
    const visitor = newVisitor();
    await connectSeller(visitor, { url: world.url });
    const bearer = await mintBearer(visitor, world.url);
    expect(await check(world, encryptionKey)).toEqual({ exit: 0, failed: [] });

    const both = `${newKey},${encryptionKey}`;
    await using served = await startServe({ ...world.environment, ENCRYPTION_KEY: both });
    expect(await check(world, both)).toEqual({ exit: 1, failed: ["key_retired"] });
    expect(await check(world, newKey)).toEqual({
      exit: 1,
      failed: ["node_key_unreadable", "key_missing"],
    });

    const seen = { calls: 0, failed: 0 };
    const serving = new AbortController();
    const calling = (async () => {
      while (!serving.signal.aborted) {
        world.sandbox.providers.get("mercadolibre")?.grants.expireAccess();
        const answer = await post(`${served.url}/mcp`, bearer, toolCall("whoami"));
        seen.calls += 1;
        if (!(await answer.text()).includes("TIENDA_DEMO")) seen.failed += 1;
      }
    })();
    const done = await run(world, both, "keys", "reseal", "--json");
    serving.abort();
    await calling;
    expect(done.exit).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({ left: [] });
    expect(seen.failed).toBe(0);
    expect(seen.calls).toBeGreaterThan(0);
    expect(await check(world, newKey)).toEqual({ exit: 0, failed: [] });
    await using alone = await startServe({ ...world.environment, ENCRYPTION_KEY: newKey });
    world.sandbox.providers.get("mercadolibre")?.grants.expireAccess();
    expect((await post(`${alone.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  });

  test("goes on where it was interrupted", async () => {
    await using world = await openWorld();
    await addCrowd(world, 1000);
    const both = `${newKey},${encryptionKey}`;
    const environment = { ...world.environment, PUBLIC_URL: world.url, ENCRYPTION_KEY: both };
    const begun = Bun.spawn([binary(), "keys", "reseal"], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "ignore", "ignore"],
    });
    while ((await sealedAnew(world)) < 100) await Bun.sleep(1);
    begun.kill("SIGKILL");
    await begun.exited;
    const before = await sealedAnew(world);
    expect(before).toBeLessThan(2000);
    const { exit, stdout } = await run(world, both, "keys", "reseal", "--json");
    expect(exit).toBe(0);
    const { resealed, left } = JSON.parse(stdout) as { resealed: number; left: unknown[] };
    expect(left).toEqual([]);
    // Signing keys are sealed too, where there are any.
    expect(resealed).toBeGreaterThanOrEqual(2000 - before);
    expect(resealed).toBeLessThan(2000);
    expect(await check(world, newKey)).toEqual({ exit: 0, failed: [] });
  });

  test("leaves what does not open, and says what and where", async () => {
    await using world = await openWorld();
    await newBearer({ url: world.url });
    // A value that was copied from another row.
    await world.app.db.execute(sql`
      insert into accounts (id, person_id, provider, seller_id, kind, state, access_token, refresh_token)
      select gen_random_uuid(), person_id, provider, 'x', kind, state, access_token, refresh_token
      from accounts`);
    const { exit, stdout, stderr } = await run(
      world,
      `${newKey},${encryptionKey}`,
      "keys",
      "reseal",
      "--json",
    );
    expect(exit).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      left: [
        { table: "accounts", column: "access_token", count: 1 },
        { table: "accounts", column: "refresh_token", count: 1 },
      ],
    });
    expect(stderr).toBe("");
  });
});

/** How many tokens the new key has sealed; its id stands behind the first byte. */
async function sealedAnew(world: World): Promise<number> {
  const id = Buffer.from(createSeal([Buffer.from(newKey, "base64")]).keyIds[0] ?? "", "hex");
  const [row] = await world.app.db.execute<{ count: number }>(sql`
    select (count(*) filter (where substring(access_token from 2 for 4) = ${id})
      + count(*) filter (where substring(refresh_token from 2 for 4) = ${id}))::int as count
    from accounts`);
  return row?.count ?? 0;
}

test("revoke says what would end, and does it only when told", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const asked = await run(world, encryptionKey, "revoke", "--account", "mercadolibre:100200300");
  expect(asked.exit).toBe(2);
  expect(asked.stderr).toContain("mercadolibre:100200300: sessions 1, grants 0, own agents 0.");
  expect(asked.stderr).toContain("hint: Add --yes");
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  const words = ["revoke", "--account", "mercadolibre:100200300", "--yes", "--json"];
  const done = await run(world, encryptionKey, ...words);
  expect({ exit: done.exit, ...JSON.parse(done.stdout) }).toMatchObject({
    exit: 0,
    sessions: 1,
    atProvider: "taken_back",
  });
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
  const again = await run(world, encryptionKey, ...words);
  expect(again.exit).toBe(2);
  expect(again.stderr).toContain("Unknown account");
});
