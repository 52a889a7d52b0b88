import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { settings } from "#src/config/settings.ts";
import { root } from "#test/cli/program.ts";

setDefaultTimeout(120_000);

const folder = join(root, "scripts/deploy");
const read = (name: string) => readFileSync(join(folder, name), "utf8");

type Service = {
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: object;
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
};

test("the compose file is YAML with a database, two gateways with a home each, and nginx in front", () => {
  const compose = Bun.YAML.parse(read("compose.yaml")) as {
    services: Record<string, Service>;
    volumes: object;
  };
  const { services, volumes } = compose;
  expect(Object.keys(services)).toEqual(["postgres", "migrate", "gateway-1", "gateway-2", "nginx"]);
  expect(services["migrate"]?.command).toEqual(["migrate"]);
  const homes = ["gateway-1", "gateway-2"].map((name) => services[name]?.volumes?.[0]);
  expect(homes).toEqual(["home-1:/data", "home-2:/data"]);
  expect(Object.keys(volumes)).toEqual(["database", "home-1", "home-2"]);
  // Only nginx is reached from outside.
  const open = Object.entries(services).filter(([, { ports }]) => ports !== undefined);
  expect(open.map(([name]) => name)).toEqual(["nginx"]);
  const named = Object.keys(services["gateway-1"]?.environment ?? {});
  expect(named.filter((name) => !(name in settings))).toEqual([]);
  expect(services["gateway-1"]?.read_only).toBe(true);
  for (const name of ["gateway-1", "gateway-2"])
    expect(read("nginx.conf")).toContain(`server ${name}:8000`);
});

test("the Dockerfile builds from what is there, runs as nobody, and asks the gateway how it is", () => {
  const lines = read("Dockerfile")
    .split("\n")
    .filter((line) => /^[A-Z]+ /.test(line));
  const stages = lines.filter((line) => line.startsWith("FROM "));
  expect(stages).toHaveLength(2);
  const copied = lines
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from="))
    .flatMap((line) => line.split(" ").slice(1, -1));
  expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const runtime = lines.slice(lines.lastIndexOf(stages[1] ?? ""));
  expect(runtime.some((line) => /^USER [1-9]\d*/.test(line))).toBe(true);
  expect(runtime.find((line) => line.startsWith("HEALTHCHECK"))).toContain('"health"]');
  const set = /^ENV (.*)$/m.exec(runtime.join("\n"))?.[1] ?? "";
  const names = set.split(" ").map((pair) => pair.split("=")[0] ?? "");
  expect(names.filter((name) => !(name in settings))).toEqual([]);
});

test("a release has a binary, a bill of materials with everything that is inside, licences and checksums", async () => {
  const out = join(root, "dist/release");
  const target = process.arch === "arm64" ? "bun-linux-arm64" : "bun-linux-x64";
  const command = [process.execPath, "scripts/release.ts", "--target", target];
  const child = Bun.spawn(command, { cwd: root, stdout: "ignore", stderr: "inherit" });
  expect(await child.exited).toBe(0);
  const names = [...new Bun.Glob("*").scanSync({ cwd: out })].toSorted();
  const program = `smartdash-${target.replace("bun-", "")}`;
  const texts = ["LICENSE", "THIRD_PARTY_NOTICES", "SHA256SUMS", "sbom.cdx.json"];
  expect(names).toEqual([...texts, program].toSorted());
  expect(Bun.spawnSync(["sha256sum", "--check", "SHA256SUMS"], { cwd: out }).exitCode).toBe(0);
  expect(Bun.spawnSync([join(out, program), "--version"]).exitCode).toBe(0);
  const bom = (await Bun.file(join(out, "sbom.cdx.json")).json()) as {
    bomFormat: string;
    components: { name: string; version: string }[];
  };
  const manifest = (await Bun.file(join(root, "package.json")).json()) as {
    dependencies: Record<string, string>;
  };
  expect(bom.bomFormat).toBe("CycloneDX");
  const inside = bom.components.map(({ name, version }) => `${name}@${version}`);
  for (const [name, version] of Object.entries(manifest.dependencies)) {
    expect(inside).toContain(`${name}@${version}`);
  }
  expect(inside.some((each) => each.startsWith("bun@"))).toBe(true);
  rmSync(out, { recursive: true });
});
