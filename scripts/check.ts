import { type Step, environment, root, runTogether, staticChecks } from "./lint.ts";

/** One gate: everything that must hold before a change is kept. The last line counts. */
const bun = process.execPath;
const build: Step = { name: "build", command: [bun, "scripts/build.ts"] };
const steps = [...staticChecks, build];

const failedSteps = [...(await runTogether(steps))];
let passed = steps.length - failedSteps.length;
let failed = failedSteps.length;

// Tests of an older binary would say nothing.
if (!failedSteps.includes(build.name)) {
  await runTests();
  // What a call costs, when nothing else runs: the way to see a slow one before its users do.
  const smoke: Step = { name: "bench:smoke", command: [bun, "scripts/bench/smoke.ts"] };
  const failedSmoke = await runTogether([smoke]);
  passed += 1 - failedSmoke.length;
  failed += failedSmoke.length;
  failedSteps.push(...failedSmoke);
}
if (failedSteps.length > 0) console.log(`failed: ${failedSteps.join(", ")}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function runTests(): Promise<void> {
  console.log("--- tests");
  const child = Bun.spawn([bun, "scripts/test.ts"], {
    cwd: root,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [, errors] = await Promise.all([passOn(child.stdout), passOn(child.stderr)]);
  const isGreen = (await child.exited) === 0;
  passed += count(errors, "pass");
  failed += count(errors, "fail");
  // A run that fails without a failing test (a crash, an error between tests) counts as one failure.
  if (!isGreen && count(errors, "fail") === 0) failed += 1;
}

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
