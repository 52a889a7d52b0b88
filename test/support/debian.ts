import { existsSync, readdirSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** A program that others have written: where it is, and what its environment needs. */
export type DebianProgram = {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
};

/** The packages that tests use, and the program that each is asked for. */
const programs = { pgbouncer: "pgbouncer", "nginx-light": "nginx" } as const;
export type DebianPackage = keyof typeof programs;

const folders = ["usr/sbin", "usr/bin", "sbin", "bin"];
const cache = join(import.meta.dir, "../../node_modules/.cache/debian");
const limitMs = 3 * 60_000;
const asked = new Map<DebianPackage, Promise<DebianProgram>>();

/**
 * The system's own program, or else that of the Debian package, unpacked into `node_modules/.cache`: nothing
 * is installed into the system, and only the first run needs the network. Takes three minutes at most.
 */
export function debianProgram(name: DebianPackage): Promise<DebianProgram> {
  const known = asked.get(name) ?? find(name);
  asked.set(name, known);
  return known;
}

async function find(name: DebianPackage): Promise<DebianProgram> {
  const installed = Bun.which(programs[name], {
    PATH: [process.env["PATH"], "/usr/sbin", "/usr/local/sbin"].join(":"),
  });
  if (installed !== null) return { path: installed, environment: {} };
  const root = join(cache, name);
  if (!existsSync(root)) await unpack(name, root);
  const path = folders.map((folder) => join(root, folder, programs[name])).find(existsSync);
  if (path === undefined) throw missing(name, `${root} does not hold it`);
  return { path, environment: { LD_LIBRARY_PATH: librariesIn(root).join(":") } };
}

/** A run that is ended half-way leaves only an unfinished folder, and two runs do not meet in one. */
async function unpack(name: DebianPackage, root: string): Promise<void> {
  if (Bun.which("apt-get") === null) throw missing(name, "there is no apt-get to fetch it with");
  const unfinished = `${root}.${process.pid}.unfinished`;
  const archives = join(unfinished, "cache/archives");
  const lists = join(unfinished, "lists");
  const contents = join(unfinished, "contents");
  const signal = AbortSignal.timeout(limitMs);
  try {
    for (const folder of [archives, lists, contents]) await mkdir(folder, { recursive: true });
    const options = [
      "-qq",
      "-y",
      `-oDir::State::lists=${lists}`,
      `-oDir::Cache=${join(unfinished, "cache")}`,
      `-oDir::Cache::archives=${archives}`,
      // What is downloaded is ours: no lock on the system's folders, and no user who may not write here.
      "-oDebug::NoLocking=1",
      "-oAPT::Sandbox::User=",
    ];
    // A hook of the system's may fail where we are not root; whether the archives come decides.
    const updated = await run(["apt-get", ...options, "update"], signal);
    const only = ["--download-only", "--no-install-recommends"];
    const fetched = await run(["apt-get", ...options, ...only, "install", name], signal);
    if (fetched !== "") throw missing(name, `apt-get: ${fetched} ${updated}`);
    for (const archive of new Bun.Glob("*.deb").scanSync({ cwd: archives, absolute: true })) {
      const failed = await run(["dpkg-deb", "-x", archive, contents], signal);
      if (failed !== "") throw missing(name, failed);
    }
    // Whoever was first is as good.
    await rename(contents, root).catch((error: unknown) => {
      if (!existsSync(root)) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** What went wrong, without addresses; empty when nothing did. */
async function run(command: readonly string[], signal: AbortSignal): Promise<string> {
  if (signal.aborted) return `no answer within ${limitMs / 60_000} minutes`;
  const child = Bun.spawn([...command], {
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
    signal,
  });
  const [said, exit] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (exit === 0) return "";
  if (signal.aborted) return `no answer within ${limitMs / 60_000} minutes`;
  return `ended with ${exit}. ${said
    .replaceAll(/\w+:\/\/\S+/g, "(address)")
    .trim()
    .slice(-500)}`;
}

function librariesIn(root: string): string[] {
  const places = [join(root, "usr/lib"), join(root, "lib")].filter(existsSync);
  const ofMachine = places.flatMap((place) =>
    readdirSync(place)
      .filter((entry) => entry.includes("-linux-"))
      .map((entry) => join(place, entry)),
  );
  return [...ofMachine, ...places];
}

function missing(name: DebianPackage, why: string): Error {
  const program = programs[name];
  return new Error(
    `These tests need ${program}, which is not in PATH, and the package ${name} could not be unpacked either: ${why}\n` +
      `Install it: apt-get install ${name} (macOS: brew install ${program}).`,
  );
}
