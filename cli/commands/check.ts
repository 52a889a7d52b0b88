import { readFileSync, writeFileSync } from "node:fs";
import { type CheckOptions, check as checkDeployment } from "#src/check/check.ts";
import { chapters } from "#src/check/rules.ts";
import type { CheckResult } from "#src/check/result.ts";
import { type SignedReport, junit, reportOf, verifyReport } from "#src/check/report.ts";
import { Failure, codeOf } from "#src/failure.ts";
import { loadRuntime } from "#src/runtime/load.ts";
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
  ],
  args: {
    action: {
      type: "positional",
      required: false,
      description: "verify: whether a report is ours",
    },
    report: { type: "positional", required: false, description: "The report to verify" },
    quick: { type: "boolean", description: "Five seconds: execute no flows, wait for no stream" },
    offline: { type: "boolean", description: "Nothing but this machine and the database" },
    live: { type: "boolean", description: "Also ask real accounts who they are; read-only" },
    thorough: { type: "boolean", description: "Wait for 65 s of silence on a stream, not for 35" },
    all: { type: "boolean", description: "Also list passed and skipped checks" },
    junit: { type: "string", description: "Also write a JUnit XML file" },
    fingerprint: { type: "string", description: "verify: of the node that signed, if another" },
  },
  run: async (args) => {
    if (args.action === "verify") return await verify(args.report, args.fingerprint);
    if (args.action !== undefined) {
      throw new Failure("usage", `smartdash check does not know '${args.action}'`, {
        hint: "smartdash check, or smartdash check verify REPORT",
      });
    }
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
    const report = await patiently(() => what, run(options));
    if (file !== undefined) writeJunit(file, junit(report));
    return outcomeOf(report, args.all === true);
  },
});

/** Once before, so that nobody waits for a report that cannot be written. */
function writeJunit(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 });
  } catch (error) {
    throw new Failure("usage", `'${file}' cannot be written (${codeOf(error) ?? "unknown"})`);
  }
}

function run(options: CheckOptions): Promise<SignedReport> {
  return withApp({ role: "command", isTolerant: true }, async (app) => {
    const findings = await checkDeployment(app, options);
    const { isOffline, isLive, patience } = options;
    return reportOf(app, options.environment, {
      findings,
      options: { isOffline, isLive, patience },
    });
  });
}

function outcomeOf(report: SignedReport, isWhole: boolean): Outcome {
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
    talk:
      signature === null
        ? "The report is not signed: see node_key_unreadable."
        : `Signed by node ${signature.fingerprint}; --json has the report.`,
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
          talk: "It failed, or speaks of another build or other settings.",
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
