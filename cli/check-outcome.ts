import { chapters } from "#src/check/rules.ts";
import type { CheckResult } from "#src/check/result.ts";
import type { SignedReport } from "#src/check/report.ts";
import type { Outcome } from "./command.ts";

/**
 * A report as people read it: what must be done, or all of it.
 * @param notStored Why the database has not taken it.
 */
export function outcomeOf(report: SignedReport, isWhole: boolean, notStored?: string): Outcome {
  const { counts, findings, signature } = report;
  const shown = findings.filter(
    ({ status }) => isWhole || (status !== "pass" && status !== "skipped"),
  );
  const lines = shown.flatMap((finding, at) => {
    const isFirst = shown[at - 1]?.chapter !== finding.chapter;
    const heading = `${finding.chapter}. ${chapters[finding.chapter]}`;
    return isFirst ? [heading, lineOf(finding)] : [lineOf(finding)];
  });
  const sum = `${counts.pass} passed, ${counts.warn} warnings, ${counts.fail} failed, ${counts.skipped} skipped`;
  const hidden = counts.skipped > 0 && !isWhole ? " (--all names them)" : "";
  return {
    json: report,
    text: [...lines, `${sum}${hidden}`].join("\n"),
    talk: [
      signature === null
        ? "The report is not signed: see node_key_unreadable."
        : `Signed by node ${signature.fingerprint}; --json has the report.`,
      ...(notStored === undefined ? [] : [`It could not be stored: ${notStored}.`]),
    ].join(" "),
    ...(counts.fail > 0 ? { exit: 1 } : {}),
  };
}

function lineOf({ status, code, message, hint }: CheckResult): string {
  const line = `  ${status.padEnd(7)} ${message}  [${code}]`;
  const isWell = status === "pass" || status === "skipped";
  return hint === undefined || isWell
    ? line
    : `${line}\n          ${hint} (docs/checks.md#${code})`;
}
