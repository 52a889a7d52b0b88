/**
 * bun scripts/pictures.ts
 *
 * Makes the pictures of docs/console.md anew: runs the browser test that takes them, and copies them there.
 */
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const target = join(root, "docs/console");
const test = ["scripts/test.ts", "-t", "pictures of docs", "test/browser/console.test.ts"];
const child = Bun.spawn(["bun", ...test], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
if ((await child.exited) !== 0) throw new Error("the test that takes the pictures has failed");
await mkdir(target, { recursive: true });
for (const name of ["overview", "calls", "tools"]) {
  await copyFile(join(root, `dist/screenshots/docs-${name}.png`), join(target, `${name}.png`));
}
