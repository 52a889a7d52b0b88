import { readFileSync } from "node:fs";
import { runTogether, staticChecks } from "./lint.ts";

/** What Git asks before a commit; `npm run hooks` installs it. */
const types = "feat|fix|perf|refactor|docs|test|build|ci|chore|revert";
const subjectForm = new RegExp(`^(${types})(\\([a-z0-9-]+\\))?!?: \\S.*$`);
const longestSubject = 72;
/** What Git writes itself. */
const written = /^(Merge |Revert "|fixup! |squash! |amend! )/;

/** What is wrong with a commit's message; empty when nothing is. See CONTRIBUTING.md. */
export function messageProblems(message: string): readonly string[] {
  const lines = message
    .split("\n# ------------------------ >8")[0]!
    .split("\n")
    .filter((line) => !line.startsWith("#"));
  const [subject = "", second = "", ...body] = lines;
  if (written.test(subject)) return [];
  const problems: string[] = [];
  if (!subjectForm.test(subject)) {
    problems.push(`The subject is not "type(scope): what changes", with a type of ${types}.`);
  }
  if (subject.length > longestSubject) {
    problems.push(`The subject has ${subject.length} characters; ${longestSubject} are allowed.`);
  }
  if (second.trim() !== "") problems.push("An empty line belongs after the subject.");
  if (body.join("").trim() === "") problems.push("There is no body: say why.");
  return problems;
}

if (import.meta.main) {
  const [hook = "", file = ""] = process.argv.slice(2);
  if (hook === "commit-msg") {
    const problems = messageProblems(readFileSync(file, "utf8"));
    for (const problem of problems) console.error(problem);
    if (problems.length > 0) console.error("hint: fix(accounts): … (CONTRIBUTING.md#commits)");
    process.exitCode = problems.length === 0 ? 0 : 1;
  } else {
    const units = {
      name: "unit tests",
      command: [process.execPath, "test", "--only-failures", "test/unit"],
    };
    const failed = await runTogether([...staticChecks, units]);
    if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
    process.exitCode = failed.length === 0 ? 0 : 1;
  }
}
