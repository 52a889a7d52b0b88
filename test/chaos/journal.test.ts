import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { placeOf } from "#src/accounts/credential.ts";
import { createSeal } from "#src/crypto/seal.ts";
import { forwardTcp } from "#test/cli/forwarder.ts";
import { runServe } from "#test/support/process.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { encryptionKey } from "#test/support/world.ts";
import { type ChaosWorld, chaosWorld, isAnswered, settledCall, whoami } from "./chaos.ts";

/** Time in line counts too. */
setDefaultTimeout(120_000);

describe("while the database is away", () => {
  test.concurrent("an answer that arrives serves the call, and goes into the row when the database is back", async () => {
    await using world = await chaosWorld();
    await using away = await forwardTcp(world.database.url);
    await using victim = await world.start({ DATABASE_URL: away.url });
    await answerWhile(world, victim, () => away.shut());
    expect(await generation(world)).toBe(1);
    expect(answersIn(world)).toHaveLength(1);
    // The old access token is dead: what serves now is the answer itself.
    for (let call = 0; call < 20; call++) {
      expect(isAnswered(await victim.call())).toBe(true);
      await Bun.sleep(50);
    }
    away.open();
    await until(async () => (await generation(world)) === 2);
    await until(() => Promise.resolve(answersIn(world).length === 0));
    world.provider.grants.expireAccess();
    expect(isAnswered(await victim.call())).toBe(true);
    expect(world.provider.grants.reused()).toBe(0);
  });

  test.concurrent("an answer that arrives survives a kill -9 before the database is back", async () => {
    await using world = await chaosWorld();
    await using away = await forwardTcp(world.database.url);
    {
      await using victim = await world.start({ DATABASE_URL: away.url });
      await answerWhile(world, victim, () => away.shut());
      await victim.kill();
    }
    expect(await generation(world)).toBe(1);
    await using survivor = await world.start();
    expect(await generation(world)).toBe(2);
    expect(isAnswered(await settledCall(survivor.url, world.bearer))).toBe(true);
    expect(world.provider.grants.reused()).toBe(0);
    expect(answersIn(world)).toEqual([]);
  });

  test.concurrent("a database that has gone silent holds nobody for ever", async () => {
    await using world = await chaosWorld();
    await using away = await forwardTcp(world.database.url);
    await using victim = await world.start({ DATABASE_URL: away.url });
    const begun = performance.now();
    await answerWhile(world, victim, () => away.silence());
    expect(performance.now() - begun).toBeLessThan(6000);
    away.open();
    await until(async () => (await generation(world)) === 2);
    expect(world.provider.grants.reused()).toBe(0);
  });
});

test.concurrent("an answer that waits on the disk tells nothing, and nobody else may read it", async () => {
  await using world = await chaosWorld();
  await using away = await forwardTcp(world.database.url);
  await using victim = await world.start({ DATABASE_URL: away.url });
  await answerWhile(world, victim, () => away.shut());
  const folder = join(world.environment["SMARTDASH_HOME"] ?? "", "journal");
  const names = readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
  const entries = [folder, ...names].map((path) => ({ path, stats: statSync(path) }));
  const files = entries.filter(({ stats }) => stats.isFile());
  expect(files.length).toBeGreaterThan(2);
  for (const { stats } of entries) {
    expect(stats.mode & 0o777).toBe(stats.isFile() ? 0o600 : 0o700);
  }
  const kept = Buffer.concat(files.map(({ path }) => readFileSync(path))).toString("latin1");
  away.open();
  await until(async () => (await generation(world)) === 2);
  const secrets = await tokensOf(world);
  expect(secrets).toHaveLength(2);
  for (const secret of secrets) {
    for (const form of [secret, secret.slice(4, 20), btoa(secret).slice(0, 20)]) {
      expect(kept).not.toContain(form);
    }
  }
});

describe("a database that was restored from a backup", () => {
  test.concurrent("has no used refresh token sent; the account is ambiguous, and connecting again is enough", async () => {
    await using world = await chaosWorld();
    await using backup = await backedUp(world);
    await refreshTwice(world);
    const restored = { DATABASE_URL: backup.url };
    await using gateway = await world.start(restored);
    expect(await backup.states()).toEqual([
      { state: "ambiguous", last_error: "restored", generation: 3 },
    ]);
    const asked = world.provider.asked.refresh_token;
    for (let call = 0; call < 3; call++) {
      expect((await gateway.call()).text).toContain("reconnect_needed");
    }
    expect(world.provider.asked.refresh_token).toBe(asked);
    expect(world.provider.grants.reused()).toBe(0);

    await world.connectAgain(gateway.url);
    expect(isAnswered(await gateway.call())).toBe(true);
    await gateway.stop();
    await using again = await world.start(restored);
    expect(await backup.states()).toEqual([
      { state: "active", last_error: null, generation: 100_000 },
    ]);
    world.provider.grants.expireAccess();
    expect(isAnswered(await again.call())).toBe(true);
  });

  test.concurrent("takes the newest answer from the journal", async () => {
    await using world = await chaosWorld();
    await using backup = await backedUp(world);
    await refreshTwice(world);
    {
      await using victim = await world.start();
      world.provider.grants.expireAccess();
      await victim.arm("kill", "journaled");
      await victim.call();
    }
    await using gateway = await world.start({ DATABASE_URL: backup.url });
    expect(await backup.states()).toEqual([{ state: "active", last_error: null, generation: 4 }]);
    world.provider.grants.expireAccess();
    expect(isAnswered(await gateway.call())).toBe(true);
    expect(world.provider.grants.reused()).toBe(0);
  });

  test.concurrent("is noticed by a gateway that never stopped", async () => {
    await using world = await chaosWorld();
    await using gateway = await world.start();
    await world.sql`create table backup as select * from accounts`;
    world.provider.grants.expireAccess();
    expect(isAnswered(await gateway.call())).toBe(true);
    await world.sql`update accounts set (access_token, refresh_token, generation) =
      (select access_token, refresh_token, generation from backup)`;
    world.provider.grants.expireAccess();
    const last = await settledCall(gateway.url, world.bearer);
    expect(last.text).toContain("reconnect_needed");
    expect(world.provider.grants.reused()).toBe(0);
  });
});

describe("two gateways with a journal each", () => {
  test.concurrent("wait for the other one's journal before they ask again", async () => {
    await using world = await chaosWorld();
    const elsewhere = await temporaryFolder();
    try {
      await using other = await world.start({ SMARTDASH_HOME: elsewhere });
      {
        await using victim = await world.start();
        expect(isAnswered(await victim.call())).toBe(true);
        world.provider.grants.expireAccess();
        await victim.arm("kill", "journaled");
        await victim.call();
      }
      // Its lease is over; the answer may be on a disk that only the other one can read.
      await world.sql`update accounts set lease_until = now() - interval '40 seconds'`;
      const asked = world.provider.asked.refresh_token;
      const early = await whoami(other.url, world.bearer);
      expect(early.status).toBe(503);
      expect(world.provider.asked.refresh_token).toBe(asked);
      await using back = await world.start();
      expect(isAnswered(await back.call())).toBe(true);
      expect(isAnswered(await settledCall(other.url, world.bearer))).toBe(true);
      expect(world.provider.grants.reused()).toBe(0);
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  test.concurrent("ask once more when it does not come back", async () => {
    await using world = await chaosWorld();
    const elsewhere = await temporaryFolder();
    try {
      await using other = await world.start({ SMARTDASH_HOME: elsewhere });
      {
        await using victim = await world.start();
        world.provider.grants.expireAccess();
        await victim.arm("kill", "room_made");
        await victim.call();
      }
      await world.sql`update accounts set lease_until = now() - interval '61 seconds'`;
      expect(isAnswered(await settledCall(other.url, world.bearer))).toBe(true);
      expect(world.provider.grants.reused()).toBe(0);
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  test.concurrent("do not ask a third time when two asked and neither lived to tell", async () => {
    await using world = await chaosWorld();
    for (let death = 0; death < 2; death++) {
      await using victim = await world.start();
      world.provider.grants.expireAccess();
      await victim.arm("kill", "room_made");
      await victim.call();
    }
    await using survivor = await world.start();
    expect((await survivor.call()).text).toContain("reconnect_needed");
    expect(await world.sql`select state, last_error from accounts`).toEqual([
      { state: "reconnect_required", last_error: "unanswered" },
    ] as never);
    expect(world.provider.asked.refresh_token).toBe(0);
  });
});

describe("a journal that cannot be written", () => {
  test.concurrent("keeps a gateway from starting in production, and says why", async () => {
    await using world = await chaosWorld();
    const file = join(world.environment["SMARTDASH_HOME"] ?? "", "file");
    await writeFile(file, "");
    const refused = await runServe({
      ...world.environment,
      SMARTDASH_JOURNAL: join(file, "journal"),
    });
    expect(refused.exit).toBe(2);
    expect(refused.stderr).toContain("code: journal_unusable");
    expect(refused.stderr).toContain("hint: Set SMARTDASH_JOURNAL to a folder");
    await using lenient = await world.start({
      SMARTDASH_MODE: "development",
      SMARTDASH_JOURNAL: join(file, "journal"),
    });
    world.provider.grants.expireAccess();
    expect(isAnswered(await lenient.call())).toBe(true);
  });

  test.concurrent("on a read-only file system is refused the same", async () => {
    await using world = await chaosWorld();
    await using disk = await smallDisk();
    disk.makeReadOnly();
    const refused = await runServe({ ...world.environment, SMARTDASH_JOURNAL: disk.folder });
    expect(refused.exit).toBe(2);
    expect(refused.stderr).toContain("cannot hold the journal (EROFS)");
  });

  test.concurrent("because its disk is full: the provider is not asked, live tokens serve, room is enough to go on", async () => {
    await using world = await chaosWorld();
    await using disk = await smallDisk();
    await using gateway = await world.start({ SMARTDASH_JOURNAL: disk.folder });
    expect(isAnswered(await gateway.call())).toBe(true);
    await disk.fill();
    expect(isAnswered(await gateway.call())).toBe(true);
    world.provider.grants.expireAccess();
    for (let call = 0; call < 3; call++) {
      const { status, text } = await gateway.call();
      expect({ status, isNamed: text.includes("journal_unavailable") }).toEqual({
        status: 503,
        isNamed: true,
      });
    }
    expect(world.provider.asked.refresh_token).toBe(0);
    await disk.empty();
    expect(isAnswered(await gateway.call())).toBe(true);
  });

  test.concurrent("because its disk fills up while the provider is asked: the answer has its room already", async () => {
    await using world = await chaosWorld();
    await using disk = await smallDisk();
    for (let round = 0; round < 5; round++) {
      {
        await using victim = await world.start({ SMARTDASH_JOURNAL: disk.folder });
        world.provider.grants.expireAccess();
        world.provider.faults.push({ kind: "slow", ms: 200 });
        await victim.arm("kill", "journaled");
        const asked = world.provider.asked.refresh_token;
        const call = victim.call();
        while (world.provider.asked.refresh_token === asked) await Bun.sleep(2);
        await disk.fill();
        await call;
      }
      await disk.empty();
      await using survivor = await world.start({ SMARTDASH_JOURNAL: disk.folder });
      expect(isAnswered(await settledCall(survivor.url, world.bearer))).toBe(true);
    }
    expect(world.provider.grants.reused()).toBe(0);
  });
});

type Caller = { call(): Promise<{ status: number; text: string }> };

/** A call that meets a dead token; something happens after the provider was asked and before it answers. */
async function answerWhile(world: ChaosWorld, victim: Caller, happens: () => void): Promise<void> {
  expect(isAnswered(await victim.call())).toBe(true);
  world.provider.grants.expireAccess();
  world.provider.faults.push({ kind: "slow", ms: 300 });
  const asked = world.provider.asked.refresh_token;
  const call = victim.call();
  while (world.provider.asked.refresh_token === asked) await Bun.sleep(2);
  happens();
  expect(isAnswered(await call)).toBe(true);
}

async function refreshTwice(world: ChaosWorld): Promise<void> {
  await using gateway = await world.start();
  for (let refresh = 0; refresh < 2; refresh++) {
    world.provider.grants.expireAccess();
    expect(isAnswered(await gateway.call())).toBe(true);
  }
  await gateway.stop();
}

async function generation({ sql }: ChaosWorld): Promise<number> {
  const [row] = await sql<{ generation: number }[]>`select generation from accounts`;
  return row?.generation ?? 0;
}

/** Both tokens of the account as they are at the provider. */
async function tokensOf({ sql }: ChaosWorld): Promise<readonly string[]> {
  const seal = createSeal([Buffer.from(encryptionKey, "base64")]);
  const rows = await sql<{ id: string; access_token: Uint8Array; refresh_token: Uint8Array }[]>`
    select id, access_token, refresh_token from accounts`;
  return rows.flatMap(({ id, access_token, refresh_token }) => [
    seal.open(access_token, placeOf(id, "accessToken")).reveal(),
    seal.open(refresh_token, placeOf(id, "refreshToken")).reveal(),
  ]);
}

function answersIn({ environment }: ChaosWorld): readonly string[] {
  return readdirSync(join(environment["SMARTDASH_HOME"] ?? "", "journal", "answers"));
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let look = 0; look < 200; look++) {
    if (await isTrue()) return;
    await Bun.sleep(50);
  }
  throw new Error("it did not come about in ten seconds");
}

/** The world's database as it is now, under another name. */
async function backedUp(world: ChaosWorld) {
  const copy = await world.database.copy();
  return {
    url: copy.url,
    states: async () => [
      ...(await copy.open.sql`select state, last_error, generation from accounts`),
    ],
    [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose](),
  };
}

/** A file system of 256 KiB. Needs root on Linux, as the gate has it. */
async function smallDisk() {
  const folder = await temporaryFolder();
  run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]);
  const filler = join(folder, "filler");
  return {
    folder: await made(join(folder, "journal")),
    makeReadOnly: () => run(["mount", "-o", "remount,ro", folder]),
    fill: () => writeFile(filler, new Uint8Array(300 * 1024)).catch(() => undefined),
    empty: () => rm(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      run(["umount", "-l", folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function made(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return folder;
}

function run(command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command[0]}: ${stderr.toString()}`);
}
