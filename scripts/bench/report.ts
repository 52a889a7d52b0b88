import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import type { Plan } from "./call-rounds.ts";
import packageFile from "../../package.json" with { type: "json" };

type Measured = {
  readonly plan: Plan;
  readonly goals: string;
  readonly tables: readonly string[];
  readonly notes: readonly string[];
};

/** Writes docs/performance.md: how it was measured, on what, when, and what came out. */
export async function saveReport({ plan, goals, tables, notes }: Measured): Promise<void> {
  const [first] = cpus();
  const machine = [
    `${cpus().length} × ${first?.model ?? "unknown processor"}`,
    `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    `${type()} ${release()}`,
    `Bun ${Bun.version}`,
    `smartdash ${packageFile.version}`,
  ];
  const lines = [
    "# Performance",
    "",
    "<!-- Written by `npm run bench -- --save`; do not edit. -->",
    "",
    method,
    "",
    `**Machine:** ${machine.join(", ")}.`,
    "",
    `**Date:** ${new Date().toISOString().slice(0, 10)}; ${plan.rounds} rounds of ${plan.seconds} s.`,
    "",
    "## Goals",
    "",
    fenced(goals),
    "",
    "## Measured",
    "",
    ...tables.flatMap((table) => [fenced(table), ""]),
    ...notes.map((note) => `- ${note}`),
  ];
  const file = join(import.meta.dir, "../../docs/performance.md");
  await Bun.write(file, `${lines.join("\n").trimEnd()}\n`);
  console.error("wrote docs/performance.md");
}

const method = `Every figure is a ratio within one run: all targets stand in front of the same MCP server, a raw TCP
process that answers from memory, and take turns round by round under the same load generator, so that what the machine
does meanwhile is the same for all of them. Figures of two runs, or of two machines, are not compared.

- **bare** is the least a Bun gateway can do: \`Bun.serve\`, the body read whole, \`fetch\`, the answer handed on.
- **plain function** is what no call of a gateway can do without, and nothing more (\`scripts/bench/plain.ts\`): the bearer
  looked up, the message parsed, four counters, our own connections, the answer searched, a hash, a line of a log and a
  row that nobody stores. It checks nothing and keeps no promise: no gateway costs less.
- **gateway** is the compiled binary with every limit, two budgets, the loop guard, the log, metrics off, and the audit
  trail in a real PostgreSQL. **gateway without guards** is the same with as few guards as can be.
- A call is a \`tools/call\` of about 1 KB with an answer of about 1 KB. CPU is user and system time of the target's
  processes alone, read from the kernel at both ends of the measured window.
- "closed loop" keeps so many connections busy with one call after the other. At "2,000 calls/s" all targets do the same
  work in the same time: a slow target that lets its neighbours fall idle pays to wake them, and here it does not.`;

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
