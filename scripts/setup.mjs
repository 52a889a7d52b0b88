// Runs on Node alone, before everything else: puts Bun and the packages of bun.lock into node_modules.
// Costs nothing when they are there.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "node_modules", ".smartdash-setup");
const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const patches = join(root, "db/patches");
const inputs = [join(root, "bun.lock"), ...readdirSync(patches).map((name) => join(patches, name))];
const hash = createHash("sha256");
for (const file of inputs) hash.update(readFileSync(file));
const wanted = hash.digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  console.error("smartdash: installing Bun and the packages (once; about 10 s and 600 MB)");
  const bun = `bun@${devDependencies.bun}`;
  // With Bun alone on the machine, Bun itself stands in for node and there is no npx.
  const [program, ...words] = process.versions.bun
    ? [process.execPath, "install", "--frozen-lockfile"]
    : ["npx", "--yes", "--allow-scripts=bun", bun, "install", "--frozen-lockfile"];
  const shell = process.platform === "win32";
  const { status, error } = spawnSync(program, words, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell,
  });
  if (status !== 0) {
    console.error(`smartdash: ${program} failed: ${error?.message ?? `exit code ${status}`}`);
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}
