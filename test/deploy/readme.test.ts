import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, newFolder, root, start, type Folder, type Program } from "#test/cli/program.ts";
import { testDatabase, type TestDatabase } from "#test/support/database.ts";
import { serving } from "#test/support/process.ts";
import { encryptionKey } from "#test/support/world.ts";

setDefaultTimeout(60_000);

/**
 * What README.md and docs/deploy.md tell an operator to write down is taken from them and run, with the places of this
 * test in place of the machine's: the binary, the settings, the home.
 */
const readme = readFileSync(join(root, "README.md"), "utf8");
const pages = readme + readFileSync(join(root, "docs/deploy.md"), "utf8");

let folder: Folder;
let database: TestDatabase;
let gateway: Program;
let port = "";
beforeAll(async () => {
  folder = await newFolder();
  database = await testDatabase();
  mkdirSync(join(folder.path, "home"), { mode: 0o700 });
  const settings = {
    PUBLIC_URL: "http://localhost:8000",
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: encryptionKey,
    MELI_CLIENT_ID: "1",
    MELI_CLIENT_SECRET: "a secret with spaces and $signs",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'`);
  writeFileSync(join(folder.path, "smartdash.env"), `${lines.join("\n")}\n`, { mode: 0o600 });
  gateway = start([binary(), "serve"], {
    cwd: folder.path,
    environment: { ...settings, PORT: "0", SMARTDASH_HOME: join(folder.path, "home") },
  });
  await gateway.says(serving);
  [, port = ""] = await gateway.says(/"port":(\d+)/);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** The block of a language that holds a word. */
function block(language: string, word: string): string {
  const found = [...pages.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))];
  const text = found.map((match) => match[1] ?? "").find((each) => each.includes(word));
  if (text === undefined) throw new Error(`no page has a ${language} block with ${word}`);
  return text;
}

function here(text: string): string {
  return text
    .replaceAll("/etc/smartdash.env", join(folder.path, "smartdash.env"))
    .replaceAll("/usr/local/bin/smartdash", binary())
    .replaceAll("/var/lib/smartdash", join(folder.path, "home"))
    .replaceAll("https://mcp.example.com", `http://127.0.0.1:${port}`)
    .replaceAll("http://127.0.0.1:8000", `http://127.0.0.1:${port}`);
}

/** As cron does: /bin/sh, next to no environment. */
function shell(command: string, environment: Record<string, string> = {}) {
  const child = Bun.spawnSync(["/bin/sh", "-c", command], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", HOME: "/", SHELL: "/bin/sh", ...environment },
  });
  return { exit: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}

async function hasCleanedUp(): Promise<boolean> {
  const rows = await database.open.sql`select 1 from tasks where name = 'cleanup'`;
  return rows.length === 1;
}

test("the cron line runs as it is written, and says nothing", async () => {
  const line = block("cron", "smartdash cleanup").trim();
  const [, user, command = ""] = /^(?:\S+\s+){5}(\S+)\s+(.*)$/.exec(line) ?? [];
  expect(user).toBe("smartdash");
  expect(shell(here(command))).toEqual({ exit: 0, stdout: "", stderr: "" });
  expect(await hasCleanedUp()).toBe(true);
});

/** The value of a key in a unit. */
function values(unit: string, key: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map((match) => match[1] ?? "");
}

test("the timer's service runs as it is written; the timer belongs to it", async () => {
  const timer = block("ini", "[Timer]");
  expect(values(timer, "OnCalendar")).toEqual(["Sun 04:17"]);
  expect(timer.split("\n")[0]).toContain("smartdash-cleanup.timer");
  const service = block("ini", "Type=oneshot");
  expect(service.split("\n")[0]).toContain("smartdash-cleanup.service");
  await database.open.sql`delete from tasks`;
  const [file = ""] = values(service, "EnvironmentFile");
  const [command = ""] = values(service, "ExecStart");
  const own = values(service, "Environment").join(" ");
  const line = `set -a; . ${file}; ${own}; ${command}`;
  expect(shell(here(line))).toEqual({ exit: 0, stdout: "", stderr: "" });
  expect(await hasCleanedUp()).toBe(true);
});

/**
 * As the unit has it: another user, no capabilities, no new privileges, nothing writable but its state. Without root,
 * or without setpriv, it runs as whoever runs the tests.
 */
function withoutRights(home: string): string {
  const setpriv = Bun.which("setpriv");
  if (setpriv === null || process.getuid?.() !== 0) return "";
  Bun.spawnSync(["chown", "65534:65534", home]);
  return `${setpriv} --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all `;
}

test("the unit starts, migrates and serves as it is written, without rights that it gives up", async () => {
  const unit = block("ini", "smartdash serve");
  const [command = ""] = values(unit, "ExecStart");
  expect(values(unit, "NoNewPrivileges")).toEqual(["yes"]);
  const home = join(folder.path, "unit");
  mkdirSync(home, { mode: 0o700 });
  const drop = withoutRights(home);
  chmodSync(folder.path, 0o755);
  // The bundled PostgreSQL lets a root's gateway in alone: this one has its own.
  const environment = `SMARTDASH_HOME=${home} PORT=0 MELI_CLIENT_ID=1 MELI_CLIENT_SECRET=x PUBLIC_URL=http://localhost:8000`;
  const line = `env -i PATH=/usr/bin:/bin ${environment} ${drop}${command}`;
  await using program = start(["/bin/sh", "-c", `umask 0077; exec ${here(line)}`], { cwd: "/" });
  const [, url = ""] = await program.says(serving);
  const [, own = ""] = await program.says(/"port":(\d+)/);
  expect(url).toBe("http://localhost:8000");
  expect((await fetch(`http://127.0.0.1:${own}/readyz`)).status).toBe(200);
  expect((await program.end("SIGTERM")).exit).toBe(0);
});

test("the probes answer as they are written", () => {
  const lines = block("sh", "UptimeRobot")
    .trim()
    .split("\n")
    .map((line) => line.replace(/\s+#.*$/, ""));
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    const command = here(line).replace(/^smartdash/, binary());
    expect([command, shell(command, { PORT: port }).exit]).toEqual([command, 0]);
  }
});

/** A command as the README has it, and what stands in for its arguments here; which of its exit codes are well. */
const runs: Readonly<Record<string, { words: readonly string[]; exits: readonly number[] }>> = {
  migrate: { words: ["migrate"], exits: [0] },
  invite: { words: ["invite"], exits: [0] },
  // Whether nothing is to be done depends on this machine: 1 is an answer, too.
  check: { words: ["check", "--quick", "--offline"], exits: [0, 1] },
  "agents add": {
    words: ["agents", "add", "--name", "Stock robot", "--upstreams", "mercadolibre"],
    exits: [0],
  },
  "tools diff": { words: ["tools", "diff"], exits: [0] },
  console: { words: ["console"], exits: [0] },
  licenses: { words: ["licenses"], exits: [0] },
};
/** These have tests of their own: the unit above, test/cli/demo.test.ts, test/cli/readme-path.test.ts, test/edge. */
const ownTests = new Set(["serve", "demo", "migrate --bundled", "peers trust"]);

test("every command of the README runs", () => {
  const found = [...readme.matchAll(/(?:^|[`$] *| {3})(?:smartdash|sd) ([a-z][a-z -]*[a-z])/gm)];
  const named = found.map((match) => (match[1] ?? "").split(/ {2,}| --(?!bundled)/)[0] ?? "");
  const commands = new Set(named.filter((each) => !ownTests.has(each)));
  expect([...commands].toSorted()).toEqual(Object.keys(runs).toSorted());
  for (const name of commands) {
    const { words, exits } = runs[name]!;
    const command = ["exec", binary(), ...words.map((word) => `'${word}'`)].join(" ");
    const line = `set -a; . /etc/smartdash.env; SMARTDASH_HOME=/var/lib/smartdash; ${command}`;
    const { exit, stderr } = shell(here(line));
    expect([name, exits.includes(exit), stderr]).toEqual([name, true, expect.any(String)]);
  }
});
