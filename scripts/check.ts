import { join } from "node:path";

/** One gate: everything that must hold before a change is kept. The last line counts. */
type Step = { readonly name: string; readonly command: readonly string[] };

const bun = process.execPath;
const steps: readonly Step[] = [
  { name: "format", command: ["oxfmt", "--check", "."] },
  { name: "types", command: ["tsc", "--noEmit", "-p", "."] },
  { name: "lint", command: ["oxlint", "--type-aware"] },
  { name: "unused code", command: ["knip"] },
  { name: "build", command: [bun, "scripts/build.ts"] },
  { name: "tests", command: [bun, "test", "--timeout", "60000"] },
];

const root = join(import.meta.dir, "..");
const env = {
  ...process.env,
  PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
};

let passed = 0;
let failed = 0;
for (const { name, command } of steps) {
  console.log(`\n--- ${name}`);
  const child = Bun.spawn([...command], { cwd: root, env, stdout: "pipe", stderr: "pipe" });
  const [, errors] = await Promise.all([passOn(child.stdout), passOn(child.stderr)]);
  const isGreen = (await child.exited) === 0;
  const counted =
    name === "tests" ? { pass: count(errors, "pass"), fail: count(errors, "fail") } : undefined;
  passed += counted?.pass ?? (isGreen ? 1 : 0);
  failed += counted?.fail ?? 0;
  // A step that fails without a failing test (a crash, an error between tests) counts as one failure.
  if (!isGreen && (counted?.fail ?? 0) === 0) failed += 1;
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function count(text: string, word: string): number {
  return Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(text)?.[1] ?? 0);
}
