import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type BundledDatabase, runningBundled, startBundled } from "#db/embedded.ts";
import { migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { installPostgres } from "#test/support/database.ts";
import { roomFor } from "#test/support/room.ts";
import { type TemporaryHome, isRunning, temporaryHome } from "./home.ts";
import { type Script, startScript } from "./script.ts";
import { rejection } from "./rejection.ts";

const minute = 60_000;
setDefaultTimeout(minute);

const room = roomFor(3);

const isRoot = process.getuid?.() === 0;

test.concurrent("a folder belongs to one gateway; another process is refused and told what to do", async () => {
  await using home = await room.hold(temporaryHome);
  const own = await startBundled(home.folder, installPostgres);
  expect(own.adopted).toBeFalse();
  const refusal = { code: "home_in_use", hint: expect.stringContaining("SMARTDASH_HOME") };
  await using other = gatewayOf(home);
  expect(await answerOf(other)).toEqual(refusal);
  expect(await rejection(startBundled(home.folder, installPostgres))).toMatchObject(refusal);
  expect(await one(own.url)).toBe(1);

  await own.stop();
  await using next = gatewayOf(home);
  expect(await answerOf(next)).toEqual({ adopted: false });
  await next.say("stop");
  expect(await next.nextLine()).toBe("stopped");
});

test.concurrent("a server that outlived its gateway is adopted with its data, and stopped in the end", async () => {
  await using home = await room.hold(temporaryHome);
  await using killed = gatewayOf(home);
  expect(await answerOf(killed)).toEqual({ adopted: false });
  const pid = home.serverPid();
  const url = (await runningBundled(home.folder)) ?? "";
  await migrateAt(url);
  await killed.kill();
  expect(isRunning(pid ?? 0)).toBeTrue();

  const adopter = await startBundled(home.folder, installPostgres);
  expect(adopter).toMatchObject({ adopted: true, url });
  expect(home.serverPid()).toBe(pid ?? 0);
  expect(await migrateAt(adopter.url)).toEqual([]);

  await adopter.stop();
  expect(isRunning(pid ?? 0)).toBeFalse();
  expect(await runningBundled(home.folder)).toBeUndefined();
});

test.concurrent("a server that is killed under a running gateway is started again, with its data", async () => {
  await using home = await room.hold(temporaryHome);
  const bundled = await startBundled(home.folder, installPostgres);
  const told: string[] = [];
  bundled.keepRunning((outcome) => told.push(outcome));
  await migrateAt(bundled.url);
  const killed = home.serverPid() ?? 0;
  process.kill(killed, "SIGKILL");
  const deadline = Date.now() + 20_000;
  while (told.length === 0 && Date.now() < deadline) await Bun.sleep(50);
  expect(told).toEqual(["restarted"]);
  expect(home.serverPid()).not.toBe(killed);
  expect(await migrateAt(bundled.url)).toEqual([]);
  await bundled.stop();
  expect(await runningBundled(home.folder)).toBeUndefined();
});

test.concurrent("what a kill in the middle of the first start left behind is thrown away", async () => {
  await using home = await room.hold(temporaryHome);
  for (const half of ["data", "postgres-18"]) {
    const folder = join(home.folder, `${half}.unfinished`);
    await mkdir(join(folder, "base"), { recursive: true });
    await Bun.write(join(folder, "half-made"), "");
  }
  const bundled = await startBundled(home.folder, installPostgres);
  expect(await one(bundled.url)).toBe(1);
  await bundled.stop();
  const names = await readdir(home.folder);
  expect(names.filter((name) => name.endsWith(".unfinished"))).toEqual([]);
  for (const whole of ["data", "postgres-18"]) {
    expect(existsSync(join(home.folder, whole, "half-made"))).toBeFalse();
  }
});

test.concurrent("a home whose path is too long for a socket is refused with a way out", async () => {
  await using home = await room.hold(temporaryHome);
  const long = join(home.folder, "x".repeat(90));
  expect(await rejection(startBundled(long, installPostgres))).toMatchObject({
    code: "home_unusable",
    hint: expect.stringContaining("SMARTDASH_HOME"),
  });
  expect(await readdir(home.folder)).toEqual([]);
});

describe("the bundled server", () => {
  test.concurrent("is reached through its socket alone, keeps what it acknowledged, and has no power", async () => {
    await using home = await room.hold(temporaryHome);
    await using running = await runIn(home);
    const { sql } = running.open;
    const names = ["listen_addresses", "fsync", "synchronous_commit", "full_page_writes"];
    const rows = await sql<{ name: string; setting: string }[]>`
        select name, setting from pg_settings where name in ${sql(names)}`;
    expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
      listen_addresses: "",
      fsync: "on",
      synchronous_commit: "on",
      full_page_writes: "on",
    });
    expect(modeOf(join(home.folder, "run"))).toBe("700");
    expect(modeOf(join(home.folder, "data"))).toBe("700");
    expect(modeOf(join(home.folder, "run", ".s.PGSQL.5432"))).toBe("700");
    if (isRoot) expect(uidsOf(home.serverPid() ?? 0)).not.toContain("0");
  });

  test.concurrent.skipIf(!isRoot)(
    "does not let in other programs of the user it runs as",
    async () => {
      await using home = await room.hold(temporaryHome);
      await using running = await runIn(home);
      expect(await one(running.bundled.url)).toBe(1);
      const [uid] = uidsOf(home.serverPid() ?? 0);
      const answer = await greetAs(Number(uid), join(home.folder, "run", ".s.PGSQL.5432"));
      expect(answer).toContain("Peer authentication failed");
    },
  );
});

function gatewayOf(home: TemporaryHome): Script {
  return startScript(import.meta.resolve("./gateway-of-home.ts"), [home.folder]);
}

async function answerOf(gateway: Script): Promise<unknown> {
  return JSON.parse((await gateway.nextLine()) ?? "null");
}

async function runIn(home: TemporaryHome) {
  const bundled: BundledDatabase = await startBundled(home.folder, installPostgres);
  const open = openDatabase(bundled.url, 1);
  return {
    bundled,
    open,
    async [Symbol.asyncDispose]() {
      await open.close();
      await bundled.stop();
    },
  };
}

async function one(url: string): Promise<unknown> {
  const open = openDatabase(url, 1);
  const [row] = await open.sql`select 1 as one`;
  await open.close();
  return row?.["one"];
}

async function migrateAt(url: string): Promise<readonly string[]> {
  const open = openDatabase(url, 1);
  const { applied } = await migrate(open.sql);
  await open.close();
  return applied;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** Real, effective, saved and file-system user of a process. */
function uidsOf(pid: number): readonly string[] {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
}

/** What the server answers to a startup message that another user sends. */
async function greetAs(uid: number, socket: string): Promise<string> {
  const program = `
    const parameters = "user\\0smartdash\\0database\\0smartdash\\0\\0";
    const head = Buffer.alloc(8);
    head.writeInt32BE(8 + parameters.length, 0);
    head.writeInt32BE(196608, 4);
    const socket = require("node:net").createConnection(${JSON.stringify(socket)});
    socket.write(Buffer.concat([head, Buffer.from(parameters)]));
    socket.once("data", (answer) => { process.stdout.write(answer); process.exit(); });
    socket.once("error", (error) => { console.log(error.message); process.exit(); });`;
  const options = { uid, gid: uid, encoding: "latin1", cwd: "/", env: {} } as const;
  return spawnSync(process.execPath, ["-e", program], options).stdout;
}
