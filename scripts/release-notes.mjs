// Prints the section of CHANGELOG.md for a tag, and refuses a tag that is not the version of package.json.
// Runs on Node alone: the release workflow calls it before anything is installed.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The text below the heading of `version`, without the heading; undefined where there is none, or nothing below it. */
function sectionOf(changelog, version) {
  const sections = changelog.split(/^## /m).slice(1);
  const found = sections.find((section) => section.startsWith(`[${version}] - `));
  const text = found?.slice(found.indexOf("\n")).trim();
  return text === "" ? undefined : text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , tag] = process.argv;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  if (tag !== `v${version}`)
    fail(
      `the tag is ${tag ?? "missing"}, but package.json has ${version}: the tag must be v${version}`,
    );
  const notes = sectionOf(readFileSync(join(root, "CHANGELOG.md"), "utf8"), version);
  if (notes === undefined)
    fail(`CHANGELOG.md has no section "## [${version}] - DATE" with text: add it, then tag again`);
  console.log(notes);
}

function fail(message) {
  console.error(`smartdash: ${message}`);
  process.exit(1);
}
