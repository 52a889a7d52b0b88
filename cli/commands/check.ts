import { type Finding, check as checkDeployment } from "#src/upkeep/check/check.ts";
import { command, withApp } from "../command.ts";
import { print } from "../terminal.ts";

export const check = command({
  name: "check",
  description:
    "Look whether this deployment can go on: keys, journal, accounts; exit code 1 if not",
  args: { json: { type: "boolean", description: "Print one JSON object" } },
  run: async ({ json }) => {
    const findings = await withApp({ role: "command" }, checkDeployment);
    const hasFailed = findings.some(({ status }) => status === "fail");
    print(
      json === true
        ? JSON.stringify({ status: hasFailed ? "fail" : "pass", findings })
        : findings.map(lineOf).join("\n"),
    );
    if (hasFailed) process.exitCode = 1;
  },
});

function lineOf({ status, code, message, hint }: Finding): string {
  const line = `${status}  ${message}  [${code}]`;
  return hint === undefined || status === "pass" ? line : `${line}\n      ${hint}`;
}
