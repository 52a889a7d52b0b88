import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Folder, newFolder, root } from "#test/cli/program.ts";

setDefaultTimeout(60_000);

/**
 * A checkout of its own, and an npm that hands out a package made here: in place of Bun, a program that notes down
 * how it was called. So nothing is fetched, and it is seen whether anything of the package was run.
 */
let folder: Folder;
let integrity = "";
beforeAll(async () => {
  folder = await newFolder();
  const { path } = folder;
  for (const each of ["scripts", "db/patches", "bin"])
    mkdirSync(join(path, each), { recursive: true });
  copyFileSync(join(root, "scripts/setup.mjs"), join(path, "scripts/setup.mjs"));
  const program = `#!/bin/sh\necho "$@" >> "${path}/ran"\n`;
  const tar = await new Bun.Archive({
    "package/package.json": "{}",
    "package/bin/bun": program,
  }).bytes();
  const bytes = Bun.gzipSync(tar);
  integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  writeFileSync(join(path, "package.tgz"), bytes);
  // npm pack NAME --pack-destination FOLDER --loglevel=error
  const npm = `#!/bin/sh\necho "$@" >> "${path}/asked"\ncp "${path}/package.tgz" "$4/bun.tgz"\n`;
  writeFileSync(join(path, "bin/npm"), npm, { mode: 0o755 });
});
afterAll(() => folder[Symbol.asyncDispose]());

/** bun.lock as it is, with another SHA-512 for every package that is Bun for some platform. */
function lockWith(sum: string): string {
  const lock = readFileSync(join(root, "bun.lock"), "utf8");
  return lock.replace(/^( +"@oven\/bun-[^\n]*")sha512-[^"]+("\],)$/gm, `$1${sum}$2`);
}

function setUp(lock: string) {
  writeFileSync(join(folder.path, "bun.lock"), lock);
  const { exitCode, stderr } = Bun.spawnSync(["node", "scripts/setup.mjs"], {
    cwd: folder.path,
    env: { PATH: `${join(folder.path, "bin")}:${process.env["PATH"] ?? ""}`, HOME: folder.path },
    stderr: "pipe",
  });
  return { exit: exitCode, stderr: stderr.toString() };
}

// Where Bun stands in for Node, it installs by itself: nothing is fetched that could be verified.
const asked = Bun.spawnSync(["node", "-p", "process.versions.bun === undefined"]);
const withNode = test.skipIf(asked.stdout.toString().trim() !== "true");

const ran = () => join(folder.path, "ran");
const left = () => readdirSync(join(folder.path, "node_modules"));

withNode("a Bun that is not the one of bun.lock is refused before anything of it runs", () => {
  const { exit, stderr } = setUp(readFileSync(join(root, "bun.lock"), "utf8"));
  expect(exit).toBe(1);
  expect(stderr).toContain("is not the package that bun.lock names; nothing of it was run");
  expect(stderr).toContain(`fetched:  ${integrity}`);
  expect(stderr).toContain("git diff bun.lock");
  expect(readFileSync(join(folder.path, "asked"), "utf8")).toMatch(
    /^pack @oven\/bun-[\w-]+@\d+\.\d+\.\d+ /,
  );
  expect(existsSync(ran())).toBe(false);
  expect(left()).toEqual([]);
});

withNode("a lock without a SHA-512 for this machine's Bun is refused too", () => {
  const { exit, stderr } = setUp(lockWith(""));
  expect({ exit, ran: existsSync(ran()) }).toEqual({ exit: 1, ran: false });
  expect(stderr).toContain("cannot be verified");
});

withNode("the Bun of bun.lock installs exactly what is locked, once, and is removed again", () => {
  const lock = lockWith(integrity);
  expect(setUp(lock).exit).toBe(0);
  expect(setUp(lock)).toEqual({ exit: 0, stderr: "" });
  expect(readFileSync(ran(), "utf8")).toBe("install --frozen-lockfile\n");
  expect(left()).toEqual([".smartdash-setup"]);
});
