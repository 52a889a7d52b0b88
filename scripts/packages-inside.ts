import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What `bun.lock` puts into the binary, on every platform alike: `scripts/release.ts` and `scripts/notices.ts` use it. */
const root = join(import.meta.dir, "..");

export type Package = {
  readonly name: string;
  readonly version: string;
  /** As its package.json says; undefined for packages of other platforms, which are not installed here. */
  readonly license: string | undefined;
  /** Where it is installed, whether or not it is. */
  readonly folder: string;
  /** Built for some platforms only; a binary has the one of its own. */
  readonly isNative: boolean;
};

type Dependencies = Readonly<Record<string, string>>;
type Details = {
  readonly dependencies?: Dependencies;
  readonly optionalDependencies?: Dependencies;
  readonly os?: unknown;
};
type Lock = {
  readonly workspaces: Readonly<Record<string, Details>>;
  /** By path in the tree: `libp2p`, or `@libp2p/ping/race-signal` for a copy of its own. */
  readonly packages: Readonly<Record<string, readonly [string, string, Details, string]>>;
};

/** The dependencies of smartdash and theirs, and Bun, by name and version. */
export function packagesInside(): readonly Package[] {
  const lock = Bun.JSONC.parse(readFileSync(join(root, "bun.lock"), "utf8")) as Lock;
  const own = lock.workspaces[""] ?? {};
  const waiting = dependenciesOf(own).concat("bun");
  const found = new Map<string, Package>();
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    const entry = lock.packages[path];
    if (entry === undefined || found.has(path)) continue;
    found.set(path, packageAt(path, entry));
    if (path === "bun") continue;
    for (const name of dependenciesOf(entry[2])) waiting.push(resolve(lock, path, name));
  }
  const unique = new Map([...found.values()].map((each) => [`${each.name}@${each.version}`, each]));
  return [...unique.values()].toSorted((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
}

function packageAt(path: string, [id, , details]: Lock["packages"][string]): Package {
  const at = id.lastIndexOf("@");
  const folder = join(root, "node_modules", ...namesOf(path).join("/node_modules/").split("/"));
  const manifest = join(folder, "package.json");
  const license = existsSync(manifest)
    ? (JSON.parse(readFileSync(manifest, "utf8")) as { license?: string }).license
    : undefined;
  const name = id.slice(0, at);
  const isNative = details.os !== undefined && name !== "bun";
  return { name, version: id.slice(at + 1), license, folder, isNative };
}

function keyOf({ name, version }: Package): string {
  return `${name} ${version}`;
}

function dependenciesOf({ dependencies, optionalDependencies }: Details): string[] {
  return Object.keys({ ...dependencies, ...optionalDependencies });
}

/** Where `name` is found from `path`: in its own copies first, then further up. */
function resolve(lock: Lock, path: string, name: string): string {
  const names = namesOf(path);
  for (let depth = names.length; depth > 0; depth--) {
    const candidate = [...names.slice(0, depth), name].join("/");
    if (candidate in lock.packages) return candidate;
  }
  return name;
}

/** `@libp2p/ping/race-signal` is `@libp2p/ping`, then `race-signal`. */
function namesOf(path: string): readonly string[] {
  return path.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [];
}
