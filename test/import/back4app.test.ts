import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "drizzle-orm";
import { openFernet } from "#src/crypto/fernet.ts";
import type { SimulatedProvider } from "#src/sandbox/provider.ts";
import { binary, start } from "#test/cli/program.ts";
import { runBeside } from "#test/cli/run.ts";
import { connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";
import {
  type ParseLike,
  type ParseRow,
  parseApp,
  parseLike,
  parseMasterKey,
  sealFernet,
} from "./parse-like.ts";

setDefaultTimeout(60_000);

const fernetKey = randomBytes(32);
const words = ["import", "back4app", "--provider", "mercadolibre", "--json"] as const;

function settings(source: ParseLike) {
  return {
    PARSE_SERVER_URL: source.url,
    PARSE_APP_ID: parseApp,
    PARSE_MASTER_KEY: parseMasterKey,
    PARSE_FERNET_KEYS: `${randomBytes(32).toString("base64url")},${fernetKey.toString("base64url")}`,
  };
}

/** So many sellers of the former system; the first `stale` ones were refreshed there after the row was written. */
function fill(source: ParseLike, provider: SimulatedProvider, count: number, stale = 0): void {
  for (let at = 0; at < count; at++) {
    const id = String(500_000_000 + at);
    const issued = provider.grants.issue({ id, name: `SHOP_${at}`, site: "MLA" });
    if (at < stale) provider.grants.redeem(issued.refresh);
    const objectId = `row${String(at).padStart(5, "0")}`;
    const payload = {
      access_token: issued.access,
      refresh_token: issued.refresh,
      user_id: Number(id),
    };
    const tokens = sealFernet(JSON.stringify(payload), fernetKey);
    source.rows.set(objectId, { objectId, user_id: id, tokens, scope: "read" });
  }
}

function providerOf(world: World): SimulatedProvider {
  const provider = world.sandbox.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("it is simulated");
  return provider;
}

async function accountsByState({ app }: World) {
  const rows = await app.db.execute<{ state: string; count: number }>(
    sql`select state, count(*)::int as count from accounts group by state order by state`,
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

test("Fernet: the specification's token opens, and none that was changed does", () => {
  // https://github.com/fernet/spec, verify.json and invalid.json
  const key = Buffer.from("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", "base64url");
  const token =
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
  expect(openFernet(token, [randomBytes(32), key])).toBe("hello");
  const invalid = [
    "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
    "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==",
    "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
    "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
    "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
    "gAAAAAAdwJ6xBRECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAnja1xKYyhd-Y6mSkTOyTGJmw2Xc2a6kBd-iX9b_qXQcw==",
  ];
  expect(invalid.map((each) => openFernet(each, [key]))).toEqual(invalid.map(() => undefined));
  expect(openFernet(sealFernet("ñandú", fernetKey), [fernetKey])).toBe("ñandú");
});

describe("import back4app", () => {
  test("explains the cut-over and reads nothing without it", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const refused = await runBeside(world, ["import", "back4app"], settings(source));
    expect(refused.exit).toBe(2);
    expect(refused.stderr).toContain("A refresh token has one owner");
    expect(source.pages()).toBe(0);
  });

  test("dry run reads and decrypts, and changes nothing here or there", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    fill(source, providerOf(world), 3);
    const tokens = sealFernet("{}", randomBytes(32));
    source.rows.set("z", { objectId: "z", user_id: "1", tokens });
    const told = await runBeside(world, [...words, "--dry-run"], settings(source));
    expect({ exit: told.exit, ...told.json }).toMatchObject({
      exit: 1,
      readable: 3,
      unreadable: 1,
    });
    expect(await accountsByState(world)).toEqual({});
    expect(providerOf(world).asked.refresh_token).toBe(0);
  });

  test("takes accounts over, refreshed once each; a seller who comes later is that person, and agents work", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const provider = providerOf(world);
    fill(source, provider, 5, 1);
    // One who has connected here already.
    await connectSeller(newVisitor(), { url: world.url });
    const own = provider.grants.issue({ id: "100200300", name: "TIENDA_DEMO", site: "MLA" });
    const payload = { access_token: own.access, refresh_token: own.refresh, user_id: 100_200_300 };
    source.rows.set("zz", {
      objectId: "zz",
      user_id: "100200300",
      tokens: sealFernet(JSON.stringify(payload), fernetKey),
    });
    const done = await runBeside(world, [...words, "--cut-over"], settings(source));
    expect({ exit: done.exit, ...done.json }).toMatchObject({
      exit: 0,
      imported: 4,
      stale: 1,
      known: 1,
      worldReadable: false,
    });
    // The copy of the known one is let go.
    const states = { active: 5, reconnect_required: 1, revoked: 1 };
    expect(await accountsByState(world)).toEqual(states);
    expect(provider.grants.reused()).toBe(1);
    const again = await runBeside(world, [...words, "--cut-over"], settings(source));
    expect(again.json).toMatchObject({ imported: 4, stale: 1, known: 1 });
    // The known one as well: who it is, the provider said only then.
    expect(provider.asked.refresh_token).toBe(6);
    // The rows are still there.
    expect(source.rows.size).toBe(6);
    const [row] = await world.app.db.execute<{ person: string }>(sql`
      select person_id as person from accounts where seller_id = '500000001'`);
    const labels = await world.app.db.execute(
      sql`select label, site from accounts where seller_id = '500000001'`,
    );
    expect([...labels]).toEqual([{ label: "SHOP_1", site: "MLA" }]);
    expect(row?.person).toBeString();
  });

  test("a row that claims to be another seller ends under the one that the provider names", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const issued = providerOf(world).grants.issue({ id: "666", name: "MALLORY", site: "MLA" });
    const payload = {
      access_token: issued.access,
      refresh_token: issued.refresh,
      user_id: 100_200_300,
    };
    const tokens = sealFernet(JSON.stringify(payload), fernetKey);
    source.rows.set("a", { objectId: "a", user_id: "100200300", tokens });
    await runBeside(world, [...words, "--cut-over"], settings(source));
    const sellers = await world.app.db.execute(sql`select seller_id, label from accounts`);
    expect([...sellers]).toEqual([{ seller_id: "666", label: "MALLORY" }]);
  });

  test("an account that has to be connected again gets the credential that the import proved", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const visitor = newVisitor();
    await connectSeller(visitor, { url: world.url });
    const bearer = await mintBearer(visitor, world.url);
    await world.app.db.execute(sql`update accounts set state = 'reconnect_required'`);
    const provider = providerOf(world);
    const issued = provider.grants.issue({ id: "100200300", name: "TIENDA_DEMO", site: "MLA" });
    const payload = { access_token: issued.access, refresh_token: issued.refresh };
    const tokens = sealFernet(JSON.stringify(payload), fernetKey);
    source.rows.set("a", { objectId: "a", user_id: "1", tokens });
    const done = await runBeside(world, [...words, "--cut-over"], settings(source));
    expect(done.json).toMatchObject({ imported: 1, known: 0 });
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  });

  test("an imported account serves its person's agents", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const provider = providerOf(world);
    const issued = provider.grants.issue({ id: "100200300", name: "TIENDA_DEMO", site: "MLA" });
    const payload = { access_token: issued.access, refresh_token: issued.refresh };
    source.rows.set("a", {
      objectId: "a",
      user_id: "100200300",
      tokens: sealFernet(JSON.stringify(payload), fernetKey),
    });
    await runBeside(world, [...words, "--cut-over", "--delete-source"], settings(source));
    expect(source.rows.size).toBe(0);
    const visitor = newVisitor();
    await connectSeller(visitor, { url: world.url });
    const bearer = await mintBearer(visitor, world.url);
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
    const people = await world.app.db.execute(sql`select id from people`);
    expect(people.length).toBe(1);
  });

  test("500 tokens, 5 of them stale, killed half-way and resumed: at most what was in flight is lost, nothing is sent a third time", async () => {
    await using source = parseLike();
    await using world = await openWorld({ tokenMs: 5 });
    const provider = providerOf(world);
    fill(source, provider, 500, 5);
    const environment = { ...world.environment, ...settings(source), PUBLIC_URL: world.url };
    const home = world.environment["SMARTDASH_HOME"] ?? "";
    const first = start([binary(), ...words, "--cut-over"], { cwd: home, environment });
    const half = async () => {
      while (provider.asked.refresh_token < 250) await Bun.sleep(5);
    };
    await half();
    process.kill(first.pid, "SIGKILL");
    await first.ended();
    const asked = provider.asked.refresh_token;
    const done = await runBeside(world, [...words, "--cut-over"], settings(source));
    const lost = Number(done.json["stale"]) - 5;
    console.log(
      `import: killed after ${asked} of 500; ${JSON.stringify(done.json)}; lost in flight: ${lost}`,
    );
    // At most what the provider had answered while the four workers were killed.
    expect(lost).toBeLessThanOrEqual(4);
    expect(done.exit).toBe(0);
    expect(Number(done.json["imported"])).toBe(495 - lost);
    // Each stale one once, and what was in flight once more.
    expect(provider.grants.reused()).toBeLessThanOrEqual(5 + 2 * lost);
    expect(await accountsByState(world)).toEqual({
      active: 495 - lost,
      reconnect_required: 5 + lost,
    });
  });

  test("a class that everybody may read is warned about, with the call that locks it and without the key", async () => {
    await using source = parseLike();
    source.isLocked = false;
    await using world = await openWorld();
    const told = await runBeside(world, ["import", "back4app", "--dry-run"], settings(source));
    expect(told.stderr).toContain("may read UserToken");
    expect(told.stderr).toContain("curl -X PUT");
    expect(told.stderr + told.stdout).not.toContain(parseMasterKey);
  });

  test("a server that refuses the key, or is away, is said so with exit code 75", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const wrong = { ...settings(source), PARSE_MASTER_KEY: "wrong-master-key" };
    const refused = await runBeside(world, [...words, "--cut-over"], wrong);
    expect(refused).toMatchObject({ exit: 75, json: { error: { code: "source_refused" } } });
    const away = { ...settings(source), PARSE_SERVER_URL: "http://127.0.0.1:1" };
    expect((await runBeside(world, [...words, "--cut-over"], away)).exit).toBe(75);
  });

  test("a row without tokens is counted, and what comes behind it is not passed over", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    fill(source, providerOf(world), 60);
    const odd = { objectId: "row00010", user_id: "1" } as unknown as ParseRow;
    source.rows.set("row00010", odd);
    const told = await runBeside(world, [...words, "--dry-run"], settings(source));
    expect(told.json).toMatchObject({ readable: 59, unreadable: 1 });
  });

  test("a server whose pages do not end is left", async () => {
    const rows = Array.from({ length: 25 }, (_, at) => ({
      objectId: `r${String(at).padStart(2, "0")}`,
      tokens: "x",
    }));
    const liar = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.json({ results: rows }),
    });
    await using source = parseLike();
    await using world = await openWorld();
    const lying = { ...settings(source), PARSE_SERVER_URL: `http://127.0.0.1:${liar.port}` };
    const told = await runBeside(world, [...words, "--dry-run"], lying);
    expect(told.json).toMatchObject({ error: { code: "source_refused" } });
    await liar.stop(true);
  });

  test("a provider that is busy leaves the rest for the next run", async () => {
    await using source = parseLike();
    await using world = await openWorld();
    const provider = providerOf(world);
    fill(source, provider, 2);
    provider.faults.push({ kind: "status", status: 503 });
    const first = await runBeside(world, [...words, "--cut-over"], settings(source));
    expect({ exit: first.exit, ...first.json }).toMatchObject({
      exit: 75,
      waiting: 1,
      imported: 1,
    });
    await Bun.sleep(4000);
    const second = await runBeside(world, [...words, "--cut-over"], settings(source));
    expect({ exit: second.exit, ...second.json }).toMatchObject({
      exit: 0,
      waiting: 0,
      imported: 2,
    });
  });
});
