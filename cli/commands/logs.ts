import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { secretValues } from "#src/config/secret-values.ts";
import { Failure } from "#src/failure.ts";
import { type Known, type Suspect, suspectsIn } from "#src/telemetry/find-secrets.ts";
import { command, group } from "../command.ts";
import { environment } from "../environment.ts";
import { table } from "../terminal.ts";

const mostTold = 1000;

const audit = command({
  name: "logs audit",
  description: "Find secrets in a log file; exit code 1 if there is any",
  examples: [
    "smartdash logs audit /var/log/smartdash.log",
    "journalctl -u smartdash -o cat | smartdash logs audit -",
  ],
  args: { file: { type: "positional", required: true, description: "A file, or - for stdin" } },
  run: async ({ file }) => {
    const { lines, suspects } = await auditFile(file, secretValues(environment()));
    const json = { file, lines, suspects };
    if (suspects.length === 0)
      return { json, talk: `${lines} lines, nothing that looks like a secret.` };
    const rows = suspects.map(({ line, column, kind, length }) => [
      `${line}:${column}`,
      kind,
      String(length),
    ]);
    return {
      json,
      text: table(["where", "looks like", "characters"], rows),
      talk: "Treat what was found as known to others: docs/runbook.md#a-secret-in-a-log.",
      exit: 1,
    };
  },
});

async function auditFile(file: string, known: readonly Known[]) {
  const input = file === "-" ? process.stdin : createReadStream(file);
  const suspects: Suspect[] = [];
  let lines = 0;
  const read = async () => {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      lines += 1;
      if (suspects.length < mostTold) suspects.push(...suspectsIn(text, lines, known));
    }
  };
  await read().catch(() => {
    throw new Failure("usage", `${file} cannot be read`);
  });
  return { lines, suspects };
}

export const logs = group({
  name: "logs",
  description: "Search logs for secrets",
  subCommands: { audit },
});
