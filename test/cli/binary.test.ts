import { expect, setDefaultTimeout, test } from "bun:test";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Launch, binary, newFolder, root, run } from "./program.ts";

setDefaultTimeout(60_000);

const commands = ["serve", "demo", "migrate", "health"];

test("--version names the version and the revision, within half a second", async () => {
  await using folder = await newFolder();
  const { version }: { version: string } = JSON.parse(
    await readFile(join(root, "package.json"), "utf8"),
  );
  const milliseconds: number[] = [];
  for (let round = 0; round < 5; round++) {
    const startedAt = performance.now();
    const { exit, stdout, stderr } = await run(["--version"], { cwd: folder.path });
    milliseconds.push(performance.now() - startedAt);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^smartdash ${RegExp.escape(version)} \\((\\w+)\\)\\n$`));
  }
  const median = milliseconds.toSorted((a, b) => a - b)[2] ?? Number.POSITIVE_INFINITY;
  console.log(`--version: ${median.toFixed(0)} ms (median of 5)`);
  expect(median).toBeLessThan(500);
});

test("the binary is smaller than 150 MB", async () => {
  const { size } = await stat(binary());
  console.log(`dist/smartdash: ${(size / 1e6).toFixed(1)} MB`);
  expect(size).toBeLessThan(150e6);
});

test("--help lists every command on stdout, in plain text, without paths of the build", async () => {
  await using folder = await newFolder();
  for (const args of [["--help"], ["-h"], ["help"], []]) {
    const { exit, stdout, stderr } = await run(args, { cwd: folder.path });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    for (const command of commands) expect(stdout).toContain(command);
    expectPlain(stdout);
  }
});

test("each command explains itself with --help and does nothing else", async () => {
  await using folder = await newFolder();
  for (const command of commands) {
    const { exit, stdout, stderr } = await run([command, "--help"], { cwd: folder.path });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).toContain(`smartdash ${command}`);
    expectPlain(stdout);
  }
});

test("an unknown command ends with 2, says so on stderr with a hint, and prints nothing", async () => {
  await using folder = await newFolder();
  const { exit, stdout, stderr } = await run(["sevre"], { cwd: folder.path });
  expect({ exit, stdout }).toEqual({ exit: 2, stdout: "" });
  expect(stderr).toContain("'sevre'");
  expect(stderr).toContain("hint: smartdash --help");
  expectPlain(stderr);
});

test("an unknown option ends with 2 instead of being passed over", async () => {
  await using folder = await newFolder();
  const launch = { cwd: folder.path };
  const { exit, stdout, stderr } = await run(["health", "--ulr", "http://127.0.0.1:1"], launch);
  expect({ exit, stdout }).toEqual({ exit: 2, stdout: "" });
  expect(stderr).toContain("--ulr");
});

test("files in the working directory change nothing: no .env is read, no preload is run", async () => {
  await using folder = await newFolder();
  const trace = join(folder.path, "preload-was-here");
  const files = {
    "bunfig.toml": 'preload = ["./preload.ts"]\n',
    "preload.ts": `require("node:fs").writeFileSync(${JSON.stringify(trace)}, "");\n`,
    ...Object.fromEntries(
      [".env", ".env.local", ".env.production", ".env.development"].map((name) => [
        name,
        "PORT=from-a-file\nHOST=\nLOG_LEVEL=from-a-file\n",
      ]),
    ),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  const { exit, stderr } = await broken({ cwd: folder.path }, { MELI_PKCE: "perhaps" });
  expect(exit).toBe(2);
  expect(stderr).toContain("MELI_PKCE");
  expect(stderr).not.toContain("PORT");
  expect(stderr).not.toContain("LOG_LEVEL");
  expect(await Bun.file(trace).exists()).toBe(false);
});

test("serve with wrong settings ends with 2 and names every one of them, but no secret", async () => {
  await using folder = await newFolder();
  const secrets = {
    ENCRYPTION_KEY: "much-too-short-a-key",
    SECRET_KEY: "not-32-bytes-either",
    DATABASE_URL: "mysql://gateway:hunter2hunter2@db.example.com/smartdash",
    SMARTDASH_UPSTREAMS:
      '{"shop": {"url": "http://shop.example.com", "credential": {"key": "kept-quiet',
    SMARTDASH_PROVIDERS: '["client-secret-kept-quiet"]',
  };
  const settings = {
    ...secrets,
    PORT: "eight thousand",
    PUBLIC_URL: "http://example.com/path",
    LOG_LEVEL: "loud",
    MELI_PKCE: "perhaps",
    DRAIN_MS: "-1",
    SMARTDASH_MODE: "staging",
  };
  const { exit, stdout, stderr } = await broken({ cwd: folder.path }, settings);
  expect({ exit, stdout }).toEqual({ exit: 2, stdout: "" });
  expect(stderr).toContain("code: settings_invalid");
  expect(stderr).toContain("hint:");
  for (const name of Object.keys(settings)) expect(stderr).toContain(`  ${name} `);
  for (const secret of Object.values(secrets)) expect(stderr).not.toContain(secret);
  for (const part of ["hunter2", "kept-quiet", "much-too-short"])
    expect(stderr).not.toContain(part);
  expectPlain(stderr);
});

function broken(launch: Launch, environment: Readonly<Record<string, string>>) {
  return run(["serve"], { ...launch, environment });
}

function expectPlain(text: string): void {
  expect(text).not.toContain("\u001b");
  expect(text).not.toContain("$bunfs");
}
