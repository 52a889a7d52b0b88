import { join } from "node:path";

/** What is checked without running anything: `bun scripts/lint.ts`, and the beginning of the gate. */
export type Step = { readonly name: string; readonly command: readonly string[] };

export const staticChecks: readonly Step[] = [
  { name: "format", command: ["oxfmt", "--check", "."] },
  { name: "types", command: ["tsc", "--noEmit", "-p", "."] },
  { name: "lint", command: ["oxlint", "--type-aware"] },
  { name: "unused code", command: ["knip"] },
];

export const root = join(import.meta.dir, "..");
/** Tools are those of this checkout. */
export const environment = {
  ...process.env,
  PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
};

/** Runs steps beside each other; each is printed in one piece when it has ended. Returns the names of those that failed. */
export async function runTogether(steps: readonly Step[]): Promise<readonly string[]> {
  const failed: string[] = [];
  const runOne = async ({ name, command }: Step) => {
    const begun = performance.now();
    const child = Bun.spawn([...command], {
      cwd: root,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, errors, exit] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (exit !== 0) failed.push(name);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    const outcome = exit === 0 ? "passed" : "failed";
    console.log(`--- ${name}: ${outcome}, ${seconds} s\n${`${out}${errors}`.trim()}\n`);
  };
  await Promise.all(steps.map(runOne));
  return failed;
}

if (import.meta.main) {
  const failed = await runTogether(staticChecks);
  if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
