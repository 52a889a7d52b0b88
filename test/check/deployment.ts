import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Environment } from "#src/config/read.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { type Sandbox, startSandbox } from "#src/sandbox/sandbox.ts";
import { type Ran, runBeside } from "#test/cli/run.ts";
import { binary, start } from "#test/cli/program.ts";
import { accessToken, seededBearer } from "#test/cli/seeded.ts";
import { type TestDatabase, temporaryFolder, testDatabase } from "#test/support/database.ts";
import { freePort, serving } from "#test/support/process.ts";
import { type Front, startFront, trust } from "./front.ts";

/** A deployment that nothing is wrong with: the compiled binary behind nginx with TLS, a database, a provider. */
export type Deployment = AsyncDisposable & {
  readonly database: TestDatabase;
  readonly environment: Environment;
  readonly home: string;
  readonly port: number;
  readonly front: Front;
  readonly sandbox: Sandbox;
  /** Another nginx in front of the same gateway, under the name that the gateway knows. */
  anotherFront(changed: (location: string) => string): Promise<Front>;
  /** `smartdash check` with its settings, but for these. */
  check(words: readonly string[], changed?: Environment): Promise<Ran>;
};

const key = () => randomBytes(32).toString("base64");

export async function goodDeployment(): Promise<Deployment> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const role = `gateway_${randomBytes(4).toString("hex")}`;
  const { sql } = database.open;
  await sql.unsafe(`create role ${role}`);
  await sql.unsafe(
    `grant select, insert, update, delete on all tables in schema public to ${role}`,
  );
  const folder = await temporaryFolder();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const home = join(folder, "home");
  await mkdir(home, { mode: 0o700 });
  const port = await freePort();
  const front = stack.use(await startFront(port));
  const sandbox = startSandbox(bunRuntime, {
    accessSeconds: 3600,
    now: Date.now,
    profiles: [mercadolibre],
  });
  stack.defer(() => sandbox.stop());
  const sink = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
  stack.defer(() => sink.stop(true));
  const url = new URL(database.url);
  url.search += `&options=-c%20role%3D${role}`;
  const { AIRTABLE_CLIENT_ID: _, AIRTABLE_CLIENT_SECRET: __, ...provider } = sandbox.environment;
  const environment = {
    ...provider,
    ...trust,
    SMARTDASH_HOME: home,
    DATABASE_URL: url.href,
    ENCRYPTION_KEY: key(),
    SECRET_KEY: key(),
    PUBLIC_URL: front.url,
    PORT: String(port),
    LOG_LEVEL: "info",
    SMARTDASH_CLIENT_DOCUMENTS: "bundled",
    DRAIN_MS: "200",
    ALERT_SLACK_URL: `http://127.0.0.1:${sink.port}/slack`,
  };
  // The provider knows whose token it is.
  const owner = { id: "1", name: "TIENDA", site: "MLA" };
  sandbox.providers.get("mercadolibre")?.grants.addKey(accessToken, owner);
  await seededBearer({ ...environment, SMARTDASH_SIGNUP: "open" });
  const gateway = stack.use(start([binary(), "serve"], { cwd: folder, environment }));
  await gateway.says(serving);
  const owned = stack.move();
  return {
    database,
    environment,
    home,
    port,
    front,
    sandbox,
    anotherFront: (changed) =>
      startFront(port, (text) => changed(text).replace("$http_host", new URL(front.url).host)),
    check: (words, changed = {}) =>
      runBeside({ environment, url: front.url }, ["check", "--json", ...words], {
        LOG_LEVEL: "info",
        ...changed,
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export type FoundOne = { readonly code: string; readonly status: string; readonly message: string };

/** What a report found that is not well. */
export function problemsIn(report: Ran): readonly FoundOne[] {
  const findings = (report.json["findings"] ?? []) as readonly FoundOne[];
  return findings.filter(({ status }) => status === "warn" || status === "fail");
}

/** Codes of what a report says nothing about. */
export function skippedIn(report: Ran): readonly string[] {
  const findings = (report.json["findings"] ?? []) as readonly FoundOne[];
  return findings.filter(({ status }) => status === "skipped").map(({ code }) => code);
}
