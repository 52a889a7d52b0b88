import type { App } from "#src/app.ts";
import { type SignedReport, verifyReport } from "#src/check/report.ts";
import { isObject, objectIn } from "#src/json.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { checkReportWith, newestCheckReports } from "#src/operations/check-report-store.ts";
import { timely } from "#src/clock.ts";
import { outcomeOf } from "./check-outcome.ts";
import { type Outcome, withApp } from "./command.ts";
import { environment } from "./environment.ts";
import { table } from "./terminal.ts";

/** The last reports, or one of them. Failures: `not_found`. */
export async function reports(id: string | undefined, isWhole: boolean): Promise<Outcome> {
  if (id !== undefined) return await storedReport(id, isWhole);
  const rows = await withApp({ role: "command" }, ({ db }) => timely(newestCheckReports(db)));
  if (rows.length === 0) return { json: { reports: rows }, talk: "Nothing was checked yet." };
  const lines = rows.map((row) => [
    row.id,
    row.at.toISOString().slice(0, 16),
    row.by,
    row.status ?? "no report",
    ...(["fail", "warn", "pass", "skipped"] as const).map((each) =>
      String(row.counts?.[each] ?? ""),
    ),
  ]);
  const columns = ["id", "when (UTC)", "by", "status", "failed", "warnings", "passed", "skipped"];
  return { json: { reports: rows }, text: table(columns, lines) };
}

/** Failures: `not_found`, also for one that cannot be read. */
async function storedReport(given: string, isWhole: boolean): Promise<Outcome> {
  const id = readId(given);
  const missing = () =>
    new Failure("not_found", `There is no report '${given}'`, {
      hint: "smartdash check reports lists those that are kept",
    });
  if (id === undefined) throw missing();
  return await withApp({ role: "command" }, async (app) => {
    const found = await timely(checkReportWith(app.db, id));
    const text = found?.report ?? "";
    if (!isReport(text)) throw missing();
    const report: SignedReport = JSON.parse(text);
    return { ...outcomeOf(report, isWhole), talk: signerOf(app, text) };
  });
}

/** Whether it can be shown: what stands in a database may be anything. */
function isReport(text: string): boolean {
  const { findings, counts } = objectIn(text) ?? {};
  return Array.isArray(findings) && findings.every(isObject) && isObject(counts);
}

/** Who has signed it, if it is as it was signed. */
function signerOf(app: App, text: string): string {
  try {
    return `Signed by node ${verifyReport(app, environment(), { text }).fingerprint}.`;
  } catch (error) {
    return `${asFailure(error).message}.`;
  }
}
