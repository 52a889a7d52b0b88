import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "#test/cli/program.ts";

const changelog = readFileSync(join(root, "CHANGELOG.md"), "utf8");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
};
const headings = [...changelog.matchAll(/^## (.+)$/gm)].map((match) => match[1] ?? "");

test("what is not released stands first, then every version with its date, the newest first", () => {
  const [first, ...released] = headings;
  expect(first).toBe("[Unreleased]");
  const wrong = released.filter((each) => !/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/.test(each));
  expect(wrong).toEqual([]);
  const versions = released.map((each) => /\[(.+)\]/.exec(each)?.[1] ?? "");
  expect(versions).toEqual(versions.toSorted(Bun.semver.order).toReversed());
});

test("the version of package.json has its section", () => {
  expect(headings.some((each) => each.startsWith(`[${version}] - `))).toBe(true);
});

test("entries stand under the headings that Keep a Changelog knows", () => {
  const known = new Set([
    "Migration notes",
    "Added",
    "Changed",
    "Deprecated",
    "Removed",
    "Fixed",
    "Security",
  ]);
  const used = [...changelog.matchAll(/^### (.+)$/gm)].map((match) => match[1] ?? "");
  expect(used.filter((each) => !known.has(each))).toEqual([]);
});

test("a version says at most once that smartdash migrate is needed", () => {
  const sections = changelog.split(/^## /m).slice(1);
  const said = sections.map((each) => each.split("`smartdash migrate` is needed").length - 1);
  expect(Math.max(...said)).toBe(1);
});

function notesFor(tag: string) {
  const command = [process.execPath, join(root, "scripts/release-notes.mjs"), tag];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdout: "pipe", stderr: "pipe" });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

test("the notes of a release are the section of its version, and another tag is refused", () => {
  const notes = notesFor(`v${version}`);
  expect({ exit: notes.exitCode, stderr: notes.stderr }).toEqual({ exit: 0, stderr: "" });
  expect(changelog).toContain(`## [${version}]`);
  expect(changelog).toContain(notes.stdout.trim());
  expect(notes.stdout).not.toMatch(/^## /m);
  const refused = notesFor("v99.0.0");
  expect({ exit: refused.exitCode, stdout: refused.stdout }).toEqual({ exit: 1, stdout: "" });
  expect(refused.stderr).toContain(`the tag must be v${version}`);
});
