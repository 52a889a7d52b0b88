import { readFileSync, writeFileSync } from "node:fs";
import { type CheckOptions, check as checkDeployment } from "#src/check/check.ts";
import { type SignedReport, junit, reportOf, verifyReport } from "#src/check/report.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure, asFailure, codeOf } from "#src/failure.ts";
import { beginCheckReport, saveCheckReport } from "#src/operations/check-report-store.ts";
import { isName } from "#src/people/operators.ts";
import { timely } from "#src/clock.ts";
import { loadRuntime } from "#src/runtime/load.ts";
import { outcomeOf } from "../check-outcome.ts";
import { reports } from "../check-reports.ts";
import { type Outcome, command, withApp } from "../command.ts";
import { environment } from "../environment.ts";
import { patiently } from "../terminal.ts";

export const check = command({
  name: "check",
  description:
    "Execute the production checklist before a deploy; exit code 1 if something must be done",
  examples: [
    "smartdash check",
    "smartdash check --quick --offline",
    "smartdash check --json > report.json && smartdash check verify report.json",
    "smartdash check --junit check.xml",
    "smartdash check reports",
  ],
  args: {
    action: {
      type: "positional",
      required: false,
      description: "verify: whether a report is ours; reports: the last ones, or one of them",
    },
    report: {
      type: "positional",
      required: false,
      description: "verify: a file; reports: the id of one",
    },
    quick: { type: "boolean", description: "Five seconds: execute no flows, wait for no stream" },
    offline: { type: "boolean", description: "Nothing but this machine and the database" },
    live: { type: "boolean", description: "Also ask real accounts who they are; read-only" },
    thorough: { type: "boolean", description: "Wait for 65 s of silence on a stream, not for 35" },
    all: { type: "boolean", description: "Also list passed and skipped checks" },
    junit: { type: "string", description: "Also write a JUnit XML file" },
    by: {
      type: "string",
      default: "operator",
      description: "Who has asked for it; kept with the report",
    },
    into: { type: "string", description: "The id of the report, where one was begun already" },
    fingerprint: { type: "string", description: "verify: of the node that signed, if another" },
  },
  run: async (args) => {
    const { action } = args;
    if (action === "verify") return await verify(args.report, args.fingerprint);
    if (action === "reports") return await reports(args.report, args.all === true);
    refuseWrong(args);
    const { junit: file } = args;
    if (file !== undefined) writeJunit(file, "");
    const isQuick = args.quick === true;
    const options = {
      environment: environment(),
      runtime: await loadRuntime(),
      isOffline: args.offline === true,
      isLive: args.live === true,
      patience: isQuick ? "quick" : args.thorough === true ? "long" : "usual",
    } as const satisfies CheckOptions;
    const isListening = !isQuick && args.offline !== true;
    const what = isListening ? "Checking, and listening to a quiet stream" : "Checking";
    const { report, notStored } = await patiently(() => what, run(options, args));
    if (file !== undefined) writeJunit(file, junit(report));
    return outcomeOf(report, args.all === true, notStored);
  },
});

/** Failures: `usage`. */
function refuseWrong({
  action,
  by,
  into,
}: {
  readonly action?: string | undefined;
  readonly by: string;
  readonly into?: string | undefined;
}): void {
  if (action !== undefined) {
    throw new Failure("usage", `smartdash check does not know '${action}'`, {
      hint: "smartdash check, smartdash check verify REPORT, or smartdash check reports",
    });
  }
  if (!isName(by)) {
    throw new Failure("usage", "--by takes up to 80 letters, digits, blanks and . @ : _ -");
  }
  if (into !== undefined && readId(into) === undefined) {
    throw new Failure("usage", "--into takes the id of a report that was begun");
  }
}

/** Once before, so that nobody waits for a report that cannot be written. */
function writeJunit(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 });
  } catch (error) {
    throw new Failure("usage", `'${file}' cannot be written (${codeOf(error) ?? "unknown"})`);
  }
}

type Checked = {
  readonly report: SignedReport;
  /** Why the database has not taken it. */
  readonly notStored?: string;
};

/** A check is executed with or without a database that takes its report. */
function run(
  options: CheckOptions,
  { by, into }: { readonly by: string; readonly into?: string | undefined },
): Promise<Checked> {
  return withApp({ role: "command", isTolerant: true }, async (app) => {
    const begun =
      into === undefined ? timely(beginCheckReport(app.db, by, app.now())) : Promise.resolve(into);
    begun.catch(() => undefined);
    const findings = await checkDeployment(app, options);
    const { isOffline, isLive, patience } = options;
    const report = reportOf(app, options.environment, {
      findings,
      options: { isOffline, isLive, patience },
    });
    try {
      const { status, counts } = report;
      const isWhole = patience !== "quick" && !isOffline;
      const extent = isWhole ? ("whole" as const) : ("part" as const);
      const found = { status, counts, extent, report: JSON.stringify(report) };
      const isKept = await timely(saveCheckReport(app.db, await begun, found));
      return isKept ? { report } : { report, notStored: "not_found" };
    } catch (error) {
      return { report, notStored: asFailure(error).code };
    }
  });
}

async function verify(file: string | undefined, fingerprint: string | undefined): Promise<Outcome> {
  if (file === undefined)
    throw new Failure("usage", "Say which report: smartdash check verify FILE");
  if (fingerprint !== undefined && !/^[0-9a-f]{64}$/i.test(fingerprint)) {
    throw new Failure("usage", "--fingerprint takes the 64 digits that check prints on that node");
  }
  const text = read(file);
  const verified = await withApp({ role: "command", isTolerant: true }, (app) =>
    Promise.resolve(verifyReport(app, environment(), { text, fingerprint })),
  );
  const { checkedAt, status, isSameBuild, isSameConfig, skipped } = verified;
  const build = isSameBuild ? "this build" : "another build";
  const config = isSameConfig ? "these settings" : "other settings";
  return {
    json: verified,
    text: `Signed by node ${verified.fingerprint} at ${checkedAt}: ${status}, ${skipped} skipped, for ${build} and ${config}.`,
    ...(isSameBuild && isSameConfig && status !== "fail"
      ? {}
      : {
          exit: 1,
          talk:
            status === "fail"
              ? "The check that it reports has failed."
              : "It speaks of another build or other settings: it says nothing about this gateway.",
        }),
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new Failure("usage", `${file} cannot be read`);
  }
}
