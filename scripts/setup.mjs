// Runs on Node alone, before everything else: puts Bun and the packages of bun.lock into node_modules.
// Costs nothing when they are there.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "node_modules", ".smartdash-setup");
const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const wanted = createHash("sha256")
  .update(readFileSync(join(root, "bun.lock")))
  .digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  const bun = `bun@${devDependencies.bun}`;
  const words = ["--yes", "--allow-scripts=bun", bun, "install", "--frozen-lockfile"];
  const { status } = spawnSync("npx", words, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, wanted);
}
