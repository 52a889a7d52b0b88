import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import type { App } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { isObject, objectIn } from "#src/json.ts";
import type { Setting } from "#src/config/setting.ts";
import { settings } from "#src/config/settings.ts";
import { fingerprintOf, isSignedBy, openNodeKey } from "#src/crypto/node-key.ts";
import { Failure } from "#src/failure.ts";
import { version } from "#src/runtime/runtime.ts";
import { chapters } from "./rules.ts";
import type { CheckResult } from "./result.ts";

/** What was checked, when, with which binary and settings. */
type Report = {
  readonly status: "pass" | "warn" | "fail";
  readonly checkedAt: string;
  readonly build: { readonly number: string; readonly revision: string };
  /** Says whether settings are the same; says nothing about what they are. */
  readonly configHash: string;
  readonly publicUrl: string;
  readonly options: Readonly<Record<string, string | boolean>>;
  readonly counts: Readonly<Record<CheckResult["status"], number>>;
  readonly findings: readonly CheckResult[];
};

export type SignedReport = Report & {
  /** Null when the node's key does not open; `node_key_unreadable` says so. */
  readonly signature: {
    /** Ed25519 public key of the node, base64url. */
    readonly publicKey: string;
    readonly fingerprint: string;
    readonly value: string;
  } | null;
};

/** A keyed hash over every setting that is given, by name. */
function configHash(app: Pick<App, "bindingKey">, environment: Environment): string {
  const names = Object.keys(settings).toSorted();
  const given = names.flatMap((name) => {
    const value = environment[name]?.trim();
    return value === undefined || value === "" ? [] : [[name, contentOf(name, value)]];
  });
  const text = JSON.stringify(given);
  return createHmac("sha256", app.bindingKey).update(`settings ${text}`).digest("hex");
}

/** JSON may stand in a file: what counts is what is in it. */
function contentOf(name: string, value: string): string {
  const kind = Object.entries<Setting>(settings).find(([each]) => each === name)?.[1].kind;
  if (kind !== "json" || value.startsWith("{")) return value;
  try {
    return readFileSync(value, "utf8");
  } catch {
    return value;
  }
}

export function reportOf(
  app: Pick<App, "bindingKey" | "publicUrl" | "now" | "config" | "seal">,
  environment: Environment,
  checked: { readonly findings: readonly CheckResult[]; readonly options: Report["options"] },
): SignedReport {
  const { findings, options } = checked;
  const count = (status: CheckResult["status"]) =>
    findings.filter((finding) => finding.status === status).length;
  const counts = {
    pass: count("pass"),
    warn: count("warn"),
    fail: count("fail"),
    skipped: count("skipped"),
  };
  const report: Report = {
    status: counts.fail > 0 ? "fail" : counts.warn > 0 ? "warn" : "pass",
    checkedAt: app.now().toISOString(),
    build: version,
    configHash: configHash(app, environment),
    publicUrl: app.publicUrl,
    options,
    counts,
    findings,
  };
  return { ...report, signature: signatureOf(app, JSON.stringify(report)) };
}

function signatureOf(app: Pick<App, "config" | "seal">, text: string): SignedReport["signature"] {
  try {
    const key = openNodeKey(app.config.home, app.seal);
    const { publicKey, fingerprint } = key;
    return { publicKey, fingerprint, value: key.sign(text) };
  } catch {
    return null;
  }
}

type Verified = {
  readonly checkedAt: string;
  readonly status: string;
  readonly fingerprint: string;
  /** It was this build that was checked. */
  readonly isSameBuild: boolean;
  /** The settings are what they were. */
  readonly isSameConfig: boolean;
  /** How many parts of the checklist were not looked at. */
  readonly skipped: number;
};

/**
 * Whether a report is what this node has signed, and whether it still speaks of this build and these settings.
 * Failures: `report_unverified`.
 * @param fingerprint Another node's, when it is another node's report.
 */
export function verifyReport(
  app: Pick<App, "bindingKey" | "config" | "seal">,
  environment: Environment,
  given: { readonly text: string; readonly fingerprint?: string | undefined },
): Verified {
  const whole = parsed(given.text);
  const { signature, ...report } = whole;
  const facts = isObject(signature) ? signature : {};
  const [publicKey, value] = [String(facts["publicKey"]), String(facts["value"])];
  // Never by what a report says about itself.
  const known = given.fingerprint ?? openNodeKey(app.config.home, app.seal).fingerprint;
  if (fingerprintOf(publicKey) !== known.toLowerCase()) {
    throw new Failure("report_unverified", "The report was signed by another node", {
      hint: "Name that node's fingerprint with --fingerprint, if you know it from a safe place",
    });
  }
  if (!isSignedBy(publicKey, JSON.stringify(report), value)) {
    throw new Failure("report_unverified", "The report is not what was signed");
  }
  const build = isObject(report["build"]) ? report["build"] : {};
  const counts = isObject(report["counts"]) ? report["counts"] : {};
  return {
    checkedAt: String(report["checkedAt"]),
    status: String(report["status"]),
    fingerprint: known,
    isSameBuild: build["number"] === version.number && build["revision"] === version.revision,
    skipped: Number(counts["skipped"] ?? 0),
    isSameConfig: report["configHash"] === configHash(app, environment),
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  const report = objectIn(text);
  if (report !== undefined) return report;
  throw new Failure("report_unverified", "The file is not a report of smartdash check");
}

/** One test case for each result, for CI systems; warnings are in its output. */
export function junit(report: Report): string {
  const cases = report.findings.map(({ chapter, code, status, message, hint }) => {
    const name = `classname="check.${chapter} ${escaped(chapters[chapter])}" name="${escaped(code)}: ${escaped(message)}"`;
    const advice = escaped(hint ?? "");
    if (status === "fail") {
      return `<testcase ${name}><failure type="${code}" message="${escaped(message)}">${advice}</failure></testcase>`;
    }
    if (status === "skipped") return `<testcase ${name}><skipped/></testcase>`;
    if (status === "warn")
      return `<testcase ${name}><system-out>warning: ${advice}</system-out></testcase>`;
    return `<testcase ${name}/>`;
  });
  const { fail, skipped } = report.counts;
  const head = `name="smartdash check" tests="${report.findings.length}" failures="${fail}" skipped="${skipped}" timestamp="${report.checkedAt}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite ${head}>\n${cases.join("\n")}\n</testsuite>\n</testsuites>\n`;
}

function escaped(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  // oxlint-disable-next-line no-control-regex -- XML 1.0 knows none of these
  const known = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "");
  return known.replace(/[&<>"]/g, (each) => names[each] ?? each);
}
