import { parseArgs } from "node:util";
import { root } from "./lint.ts";

/**
 * Runs the tests of what has changed: `bun scripts/changed.ts [--since REF]`; without a reference, what is not
 * committed yet. A table decides, because nearly every test starts a whole gateway and so imports nearly everything.
 */

/** Tests of a folder or file; the first row that fits a changed path counts. Keep each under 20 s. */
export const tests: readonly (readonly [prefix: string, tests: readonly string[]])[] = [
  ["test/unit/", ["test/unit"]],
  [
    "db/",
    ["test/data/migrate.test.ts", "test/data/constraints.test.ts", "test/data/pooler.test.ts"],
  ],
  ["src/accounts/journal/", ["test/journeys/refresh.test.ts"]],
  [
    "src/accounts/",
    [
      "test/journeys/connect.test.ts",
      "test/journeys/direct.test.ts",
      "test/journeys/refresh.test.ts",
      "test/journeys/disconnect.test.ts",
    ],
  ],
  [
    "src/oauth-server/clients/",
    ["test/authorization/registration.test.ts", "test/attacks/client-documents.test.ts"],
  ],
  ["src/oauth-server/devices/", ["test/authorization/devices.test.ts"]],
  [
    "src/oauth-server/sessions/",
    ["test/journeys/sessions.test.ts", "test/attacks/sessions.test.ts"],
  ],
  ["src/oauth-server/", ["test/authorization", "test/unit/oauth-server"]],
  ["src/bus.ts", ["test/replicas/acknowledged.test.ts", "test/authorization/revocations.test.ts"]],
  [
    "src/proxy/",
    [
      "test/unit/proxy",
      "test/journeys/proxy.test.ts",
      "test/journeys/streams.test.ts",
      "test/journeys/canary.test.ts",
    ],
  ],
  ["src/upstreams/tools/", ["test/shop"]],
  ["src/upstreams/mercadolibre-shop/", ["test/shop"]],
  [
    "src/upstreams/",
    [
      "test/data/own-servers.test.ts",
      "test/data/discovery.test.ts",
      "test/journeys/connect.test.ts",
    ],
  ],
  ["src/check/", ["test/check/self-test.test.ts"]],
  ["src/providers/", ["test/data/discovery.test.ts", "test/journeys/connect.test.ts"]],
  ["src/config/", ["test/unit/config", "test/data/settings.test.ts"]],
  ["src/crypto/", ["test/unit/crypto", "test/data/seal.test.ts", "test/data/own-key.test.ts"]],
  ["src/failure", ["test/data/settings.test.ts", "test/journeys/proxy.test.ts"]],
  ["src/policy/tools/", ["test/unit/policy/tools", "test/guards/tools.test.ts"]],
  [
    "src/policy/",
    ["test/unit/policy", "test/guards/limits.test.ts", "test/guards/switches.test.ts"],
  ],
  ["src/http/", ["test/unit/http", "test/http", "test/attacks/transport.test.ts"]],
  ["src/people/", ["test/authorization/sign-up.test.ts", "test/journeys/connect.test.ts"]],
  ["src/runtime/", ["test/http", "test/journeys/proxy.test.ts"]],
  ["src/sandbox/", ["test/journeys/connect.test.ts", "test/journeys/refresh.test.ts"]],
  ["src/pages/", ["test/browser/consent.test.ts"]],
  ["src/gateway/", ["test/journeys/proxy.test.ts", "test/http"]],
  ["src/telemetry/", ["test/unit/telemetry", "test/telemetry"]],
  ["src/operations/import/", ["test/import/back4app.test.ts"]],
  ["src/operations/", ["test/operations/cleanup.test.ts", "test/operations/switch.test.ts"]],
  [
    "src/edge/",
    [
      "test/edge/identity.test.ts",
      "test/edge/broker.test.ts",
      "test/edge/peers.test.ts",
      "test/edge/stream.test.ts",
    ],
  ],
  ["cli/", ["test/cli/commands.test.ts", "test/cli/operator.test.ts"]],
  ["src/", ["test/unit", "test/journeys/proxy.test.ts"]],
  ["docs/", []],
  [".github/", ["test/deploy/workflows.test.ts"]],
  ["scripts/deploy/", ["test/deploy"]],
  ["scripts/", ["test/deploy/workflows.test.ts"]],
];
/** The shape of the code and of the documents: quick, and everybody's. */
const always = ["test/architecture.test.ts", "test/documents.test.ts"];

/** The tests of these paths; a test that has changed is its own. */
export function testsOf(paths: readonly string[]): readonly string[] {
  const found = paths.flatMap((path) => {
    if (path.endsWith(".test.ts")) return [path];
    return tests.find(([prefix]) => path.startsWith(prefix))?.[1] ?? [];
  });
  return [...new Set([...always, ...found])].toSorted();
}

/** Folders of tests of which nothing is run. */
function skipped(chosen: readonly string[]): readonly string[] {
  const all = new Set(new Bun.Glob("test/*/**/*.test.ts").scanSync({ cwd: root }));
  const folders = new Set([...all].map((path) => path.split("/").slice(0, 2).join("/")));
  return [...folders]
    .filter((folder) => !chosen.some((each) => each.startsWith(folder)))
    .toSorted();
}

function git(...words: readonly string[]): readonly string[] {
  const { stdout, exitCode } = Bun.spawnSync(["git", ...words], { cwd: root });
  if (exitCode !== 0) throw new Error(`git ${words.join(" ")} failed`);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { since: { type: "string" } } });
  const changed = git("diff", "--name-only", "--diff-filter=d", values.since ?? "HEAD");
  const paths = [...changed, ...git("ls-files", "--others", "--exclude-standard")];
  const chosen = testsOf(paths);
  console.log(`changed: ${paths.length === 0 ? "nothing" : paths.join(", ")}`);
  console.log(`runs:    ${chosen.join(", ")}`);
  console.log(`skips:   ${skipped(chosen).join(", ")}; npm test runs everything`);
  if (
    chosen.some((each) => /^test\/(cli|operations|guards|edge|check|import|replicas)/.test(each))
  ) {
    const built = Bun.spawnSync([process.execPath, "scripts/build.ts"], {
      cwd: root,
      stdout: "inherit",
      stderr: "inherit",
    });
    if (built.exitCode !== 0) process.exit(1);
  }
  const child = Bun.spawn([process.execPath, "scripts/test.ts", ...chosen], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.exitCode = await child.exited;
}
