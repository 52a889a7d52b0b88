// Runs on Node alone, before everything else: puts Bun and the packages of bun.lock into node_modules.
// Costs nothing when they are there.
//
//   stamp as wanted? ── yes ─> done
//         │ no
//   npm pack @oven/bun-PLATFORM ─> SHA-512 as in bun.lock? ── no ─> refused, nothing of it has run
//         │ yes
//   that Bun: install --frozen-lockfile, which compares every other package with bun.lock
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const stamp = join(modules, ".smartdash-setup");
const patches = join(root, "db/patches");
const isWindows = process.platform === "win32";
const lock = readFileSync(join(root, "bun.lock"), "utf8");
const inputs = [lock, ...readdirSync(patches).map((name) => readFileSync(join(patches, name)))];
const hash = createHash("sha256");
for (const input of inputs) hash.update(input);
const wanted = hash.digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  console.error("smartdash: installing Bun and the packages (once; about 10 s and 600 MB)");
  try {
    // With Bun alone on the machine, Bun itself stands in for node and there is no npm.
    if (process.versions.bun) install(process.execPath);
    else installWithFetchedBun();
    writeFileSync(stamp, wanted);
  } catch (error) {
    console.error(`smartdash: ${error.message}`);
    process.exitCode = 1;
  }
}

/** In a folder of its own, on the file system where the packages will run too. */
function installWithFetchedBun() {
  mkdirSync(modules, { recursive: true });
  const folder = mkdtempSync(join(modules, ".bun-"));
  try {
    const name = `@oven/bun-${platform()}`;
    const program = isWindows ? "bun.exe" : "bun";
    const bun = join(folder, program);
    const archive = gunzipSync(fetchVerified(name, folder));
    writeFileSync(bun, fileOf(archive, `package/bin/${program}`), { mode: 0o755 });
    install(bun);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function install(bun) {
  run(bun, ["install", "--frozen-lockfile"]);
}

/** As Bun names its packages. Those for x64 need no AVX2. */
function platform() {
  const os = isWindows ? "windows" : process.platform;
  const cpu = process.arch === "arm64" ? "aarch64" : process.arch;
  // Without it, the report asks the DNS for the names of every address of this machine.
  process.report.excludeNetwork = true;
  const isMusl =
    os === "linux" && process.report.getReport().header.glibcVersionRuntime === undefined;
  return `${os}-${cpu}${isMusl ? "-musl" : ""}`;
}

/** The bytes of a package, once they are those that bun.lock names. */
function fetchVerified(name, folder) {
  const { version, integrity } = locked(name);
  const words = ["pack", `${name}@${version}`, "--pack-destination", folder, "--loglevel=error"];
  // A path with spaces would be two words to a shell, which npm needs on Windows.
  run("npm", isWindows ? words.map((word) => `"${word}"`) : words, isWindows);
  const file = readdirSync(folder).find((each) => each.endsWith(".tgz"));
  if (file === undefined) fail(`npm fetched no ${name}`, "Look at what npm said above.");
  const bytes = readFileSync(join(folder, file));
  const found = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  if (found === integrity) return bytes;
  return fail(
    `${name}@${version} is not the package that bun.lock names; nothing of it was run\n` +
      `  bun.lock: ${integrity}\n  fetched:  ${found}`,
    "Either bun.lock was changed, or npm was given another file. Look at `git diff bun.lock` and `npm config get registry`, run `npm cache clean --force`, and try again. If it stays like this, report it as SECURITY.md says.",
  );
}

/** Version and SHA-512 of a package; bun.lock has one package a line. */
function locked(name) {
  const line = lock.split("\n").find((each) => each.trim().startsWith(`"${name}": [`)) ?? "";
  const version = line.split(`["${name}@`)[1]?.split('"')[0];
  const integrity = /"(sha512-[\w+/]+=*)"\],?$/.exec(line.trim())?.[1];
  if (version !== undefined && integrity !== undefined) return { version, integrity };
  return fail(
    `bun.lock has no ${name} with a SHA-512, so a Bun for this machine cannot be verified`,
    "Install Bun yourself and run `bun install --frozen-lockfile`.",
  );
}

/** One file of a tar archive (POSIX.1-1988, ustar): a header of 512 bytes, then the file, filled up to 512. */
function fileOf(archive, wantedName) {
  const block = 512;
  for (let at = 0; at + block <= archive.length;) {
    const name = archive.toString("latin1", at, at + 100).split("\0")[0];
    const size = Number.parseInt(archive.toString("latin1", at + 124, at + 136), 8) || 0;
    const start = at + block;
    if (name === wantedName) return archive.subarray(start, start + size);
    at = start + Math.ceil(size / block) * block;
  }
  return fail(`the package of Bun has no ${wantedName}`, "Report this as a bug.");
}

function run(program, words, shell = false) {
  const { status, error } = spawnSync(program, words, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell,
  });
  if (status === 0) return;
  const why = error?.message ?? `exit code ${status}`;
  fail(`${program} ${words[0]} failed: ${why}`, "Look at what it said above, and try again.");
}

function fail(message, remedy) {
  throw new Error(`${message}\n  ${remedy}`);
}
