import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clocksAgree } from "#src/check/database.ts";
import type { Environment } from "#src/config/read.ts";
import { printTable } from "#test/chaos/table.ts";
import { binary, isAlive, newFolder, start } from "#test/cli/program.ts";
import { emptyDatabase } from "#test/support/database.ts";
import { debianProgram } from "#test/support/debian.ts";
import { freePort } from "#test/support/process.ts";
import { type Deployment, goodDeployment, problemsIn, skippedIn } from "./deployment.ts";

setDefaultTimeout(120_000);

let world: Deployment;
/** They listen to quiet streams for half a minute: begun first, beside everything else, in a deployment of their own. */
let wholeChecks: ReturnType<typeof checkWhole>;
beforeAll(async () => {
  await debianProgram("nginx-light");
  world = await goodDeployment();
  wholeChecks = checkWhole();
  // Their test is told.
  wholeChecks.catch(() => undefined);
}, 200_000);
afterAll(() => world[Symbol.asyncDispose]());

const table: (readonly string[])[] = [];
const yearAgo = new Date(Date.now() - 400 * 86_400_000);
const newKey = () => randomBytes(32).toString("base64");

type TakeBack = () => void | Promise<void>;

type Fault = {
  readonly fault: string;
  readonly finds: string;
  readonly settings?: () => Environment;
  /** Plants it; returns how it is taken back. */
  readonly plant?: () => TakeBack | Promise<TakeBack>;
  readonly words?: readonly string[];
};

/** Runs SQL before and after. */
function rows(before: string, after: string): NonNullable<Fault["plant"]> {
  return async () => {
    const { sql } = world.database.open;
    await sql.unsafe(before);
    return async () => void (await sql.unsafe(after));
  };
}

function file(name: () => string, text = "x", mode = 0o600) {
  return () => {
    writeFileSync(name(), text, { mode });
    return () => rmSync(name());
  };
}

const faults: readonly Fault[] = [
  {
    fault: "a .env.local in the working directory",
    finds: "env_file_present",
    plant: file(() => join(world.home, ".env.local")),
  },
  {
    fault: "development mode",
    finds: "mode_not_production",
    settings: () => ({ SMARTDASH_MODE: "development" }),
  },
  {
    fault: "a key of one letter",
    finds: "key_weak",
    settings: () => ({ SECRET_KEY: Buffer.alloc(32, 65).toString("base64") }),
  },
  {
    fault: "rows sealed with a retired key",
    finds: "key_retired",
    settings: () => ({ ENCRYPTION_KEY: `${newKey()},${world.environment["ENCRYPTION_KEY"]}` }),
  },
  {
    fault: "rows sealed with a key that is gone",
    finds: "key_missing",
    settings: () => ({ ENCRYPTION_KEY: newKey() }),
  },
  {
    fault: "a node key that does not open",
    finds: "node_key_unreadable",
    settings: () => ({ ENCRYPTION_KEY: newKey() }),
  },
  {
    fault: "a signing key of last year",
    finds: "signing_key_old",
    plant: rows(
      "insert into signing_keys (id, algorithm, state, public_jwk, private_jwk, created_at) values (gen_random_uuid(), 'ES256', 'current', '{}', ''::bytea, now() - interval '1 year')",
      "delete from signing_keys where algorithm = 'ES256'",
    ),
  },
  {
    fault: "a key file that others can read",
    finds: "file_open",
    plant: file(() => join(world.home, "encryption.key"), newKey(), 0o644),
  },
  {
    fault: "a home that others can write",
    finds: "file_open",
    plant: () => {
      chmodSync(world.home, 0o777);
      return () => chmodSync(world.home, 0o700);
    },
  },
  {
    fault: "a secret in a process's arguments",
    finds: "secret_in_arguments",
    plant: () => {
      const child = Bun.spawn(["sleep", "30"], { argv0: world.environment["SECRET_KEY"] ?? "" });
      return async () => {
        child.kill();
        await child.exited;
      };
    },
  },
  {
    fault: "no provider",
    finds: "provider_not_configured",
    settings: () => ({ MELI_CLIENT_ID: "", MELI_CLIENT_SECRET: "" }),
  },
  {
    fault: "accounts of a provider that is not configured",
    finds: "accounts_without_provider",
    settings: () => ({ MELI_CLIENT_ID: "", MELI_CLIENT_SECRET: "" }),
  },
  {
    fault: "a setting with two letters exchanged",
    finds: "setting_unknown",
    settings: () => ({ SMARTDASH_SINGUP: "open" }),
  },
  {
    fault: "an http redirect URI",
    finds: "redirect_uri_not_https",
    settings: () => ({ MELI_REDIRECT_URI: "http://shop.example/auth/callback" }),
  },
  { fault: "PKCE switched off", finds: "pkce_off", settings: () => ({ MELI_PKCE: "off" }) },
  {
    fault: "a provider that refuses the application",
    finds: "application_refused",
    plant: rows(
      "insert into provider_states (provider, refused_code) values ('mercadolibre', 'invalid_client') on conflict (provider) do update set refused_code = 'invalid_client'",
      "delete from provider_states",
    ),
  },
  {
    fault: "a provider that is not asked",
    finds: "provider_closed",
    plant: rows(
      "insert into provider_states (provider, failures, closed_until) values ('mercadolibre', 5, now() + interval '5 minutes') on conflict (provider) do update set failures = 5, closed_until = now() + interval '5 minutes'",
      "delete from provider_states",
    ),
  },
  { fault: "no PUBLIC_URL", finds: "public_url_missing", settings: () => ({ PUBLIC_URL: "" }) },
  {
    fault: "a PUBLIC_URL without TLS",
    finds: "public_url_not_https",
    settings: () => ({ PUBLIC_URL: "http://localhost:8000" }),
  },
  {
    fault: "a total timeout below the first byte's",
    finds: "timeouts_crossed",
    settings: () => ({ UPSTREAM_TOTAL_TIMEOUT_MS: "1000" }),
  },
  {
    fault: "comments every two minutes",
    finds: "keepalive_slow",
    settings: () => ({ STREAM_KEEPALIVE_MS: "120000" }),
  },
  {
    fault: "the index that keeps one account per seller is gone",
    finds: "constraint_missing",
    plant: rows(
      "drop index accounts_one_live_per_seller",
      "create unique index accounts_one_live_per_seller on accounts (provider, seller_id) where state <> 'revoked'",
    ),
  },
  {
    fault: "a constraint under the right name that allows anything",
    finds: "constraint_missing",
    plant: rows(
      "alter table accounts drop constraint accounts_state, add constraint accounts_state check (true)",
      "alter table accounts drop constraint accounts_state, add constraint accounts_state check (state in ('active', 'ambiguous', 'reconnect_required', 'revoking', 'revoked'))",
    ),
  },
  {
    fault: "an index of the guards is gone",
    finds: "constraint_missing",
    plant: rows(
      "drop index approvals_caller",
      "create index approvals_caller on approvals (caller, tool)",
    ),
  },
  {
    fault: "a gateway that connects as a superuser",
    finds: "database_superuser",
    settings: () => ({ DATABASE_URL: world.database.url }),
  },
  {
    fault: "a backup of last year",
    finds: "backup_old",
    settings: () => ({ SMARTDASH_BACKUP_STAMP: join(world.home, "stamp") }),
    plant: () => {
      const stamp = join(world.home, "stamp");
      writeFileSync(stamp, "");
      utimesSync(stamp, yearAgo, yearAgo);
      return () => rmSync(stamp);
    },
  },
  {
    fault: "a journal that is a file",
    finds: "journal_unusable",
    settings: () => ({ SMARTDASH_JOURNAL: join(world.home, "not-a-folder") }),
    plant: file(() => join(world.home, "not-a-folder")),
  },
  {
    fault: "an answer that nobody stores",
    finds: "journal_waiting",
    settings: () => ({ SMARTDASH_JOURNAL: join(world.home, "other") }),
    plant: () => {
      mkdirSync(join(world.home, "other/answers"), { recursive: true, mode: 0o700 });
      writeFileSync(join(world.home, "other/answers/00000000-0000-7000-8000-000000000000.1"), "");
      return () => rmSync(join(world.home, "other"), { recursive: true });
    },
  },
  {
    fault: "an account that has to be connected again",
    finds: "account_reconnect_required",
    plant: rows(
      "update accounts set state = 'reconnect_required', last_error = 'invalid_grant'",
      "update accounts set state = 'active', last_error = null",
    ),
  },
  {
    fault: "an account in doubt",
    finds: "account_ambiguous",
    plant: rows("update accounts set state = 'ambiguous'", "update accounts set state = 'active'"),
  },
  {
    fault: "an account whose provider has not confirmed",
    finds: "account_revoking",
    plant: rows(
      "update accounts set state = 'revoking', retry_at = now() + interval '1 day'",
      "update accounts set state = 'active', retry_at = null",
    ),
  },
  {
    fault: "no cleanup for nine days",
    finds: "cleanup_overdue",
    plant: rows(
      "update smartdash_migrations set applied_at = now() - interval '9 days'",
      "update smartdash_migrations set applied_at = now()",
    ),
  },
  {
    fault: "no sink for alerts",
    finds: "alerts_nowhere",
    settings: () => ({ ALERT_SLACK_URL: "" }),
  },
  {
    fault: "an alert that fires",
    finds: "alert_firing",
    plant: rows(
      // Meanwhile the gateway of this world does not look, and find that it is over.
      `insert into tasks (name, taken_by, taken_until) values ('alerts', gen_random_uuid(), now() + interval '1 minute')
         on conflict (name) do update set taken_until = excluded.taken_until;
       insert into alerts (kind, subject, state, summary) values ('x', 'x', 'firing', 'x')`,
      "delete from alerts; update tasks set taken_until = null where name = 'alerts'",
    ),
  },
  {
    fault: "a log without calls",
    finds: "log_too_quiet",
    settings: () => ({ LOG_LEVEL: "error" }),
  },
  {
    fault: "everybody may come in",
    finds: "signup_open",
    settings: () => ({ SMARTDASH_SIGNUP: "open" }),
  },
  {
    fault: "a pool larger than the server",
    finds: "connections_short",
    settings: () => ({ DATABASE_CONNECTIONS: "400" }),
  },
  {
    fault: "an upstream that is switched off",
    finds: "switched_off",
    plant: rows(
      "insert into switches (subject) values ('upstream:mercadolibre')",
      "delete from switches",
    ),
  },
];

test("a good deployment has nothing to mend in the quick check", async () => {
  const report = await world.check(["--quick", "--offline"]);
  expect(problemsIn(report)).toEqual([]);
  expect({ exit: report.exit, status: report.json["status"] }).toEqual({ exit: 0, status: "pass" });
});

test.each(faults.map((each) => [each.fault, each] as const))("%s is found", async (_, each) => {
  const takeBack = await each.plant?.();
  try {
    const report = await world.check(["--quick", "--offline"], each.settings?.());
    const found = problemsIn(report);
    const meant = found.find(({ code }) => code === each.finds);
    table.push([each.fault, each.finds, meant?.status ?? "not found"]);
    expect(found.map(({ code }) => code)).toContain(each.finds);
    expect(report.exit).toBe(found.some(({ status }) => status === "fail") ? 1 : 0);
  } finally {
    await takeBack?.();
  }
});

/** Through nginx: what it is told to do wrong, and what is found. */
const fronts: readonly (readonly [string, string, (location: string) => string])[] = [
  [
    "another Host header",
    "host_rewritten",
    (text) =>
      text.replace("proxy_set_header Host $http_host", "proxy_set_header Host inside.example"),
  ],
  [
    "compression",
    "stream_compressed",
    (text) =>
      text.replace(
        "gzip off;",
        "gzip on; gzip_min_length 1; gzip_types text/event-stream; gzip_proxied any; gzip_comp_level 1;",
      ),
  ],
  [
    "clients that leave are ignored",
    "disconnect_kept",
    (text) => text.replace("gzip off;", "proxy_ignore_client_abort on;"),
  ],
  [
    "nothing behind it",
    "public_url_unreachable",
    (text) => text.replace("proxy_pass http://smartdash", "proxy_pass http://127.0.0.1:1"),
  ],
];

test("what a proxy in front does wrong is found through PUBLIC_URL", async () => {
  const outcomes = await Promise.all(
    fronts.map(async ([fault, finds, changed]) => {
      await using front = await world.anotherFront(changed);
      const report = await world.check(["--quick"], { PUBLIC_URL: front.url });
      return { fault, finds, codes: problemsIn(report).map(({ code }) => code) };
    }),
  );
  for (const { fault, finds, codes } of outcomes) {
    table.push([`nginx: ${fault}`, finds, codes.includes(finds) ? "found" : "not found"]);
    expect([fault, ...codes]).toContain(finds);
  }
});

test("addresses that lead elsewhere are found", async () => {
  const closed = await freePort();
  const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
  const wrongs: readonly (readonly [string, string, Environment])[] = [
    [
      "no gateway runs",
      "gateway_not_running",
      { PUBLIC_URL: `http://127.0.0.1:${closed}`, PORT: String(closed) },
    ],
    [
      "no gateway to go back to",
      "previous_unknown",
      { PUBLIC_URL: `http://127.0.0.1:${closed}`, PORT: String(closed) },
    ],
    [
      "nobody listens at PUBLIC_URL",
      "public_url_unreachable",
      { PUBLIC_URL: `http://127.0.0.1:${closed}` },
    ],
    ["a gateway with other keys", "public_url_elsewhere", { SECRET_KEY: newKey() }],
    [
      "a redirect URI of somebody else",
      "redirect_uri_elsewhere",
      { MELI_REDIRECT_URI: `http://127.0.0.1:${other.port}/auth/callback` },
    ],
    ["a wrong client secret", "application_unknown", { MELI_CLIENT_SECRET: "wrong" }],
    [
      "a provider that cannot be reached",
      "provider_unreachable",
      {
        SMARTDASH_PROVIDERS: JSON.stringify({
          mercadolibre: { token: `http://127.0.0.1:${closed}/token` },
        }),
      },
    ],
  ];
  const outcomes = await Promise.all(
    wrongs.map(async ([fault, finds, settings]) => {
      const report = await world.check(["--quick"], settings);
      const codes = problemsIn(report).map(({ code }) => code);
      return { fault, finds, codes, skipped: skippedIn(report) };
    }),
  );
  await other.stop(true);
  for (const { fault, finds, codes, skipped } of outcomes) {
    // What stands behind an address that does not lead here is counted.
    const isCounted = ["stream_unbuffered", "disconnect_noticed"].every((code) =>
      skipped.includes(code),
    );
    expect([fault, isCounted]).toEqual([fault, /^(gateway|previous|public)_/.test(finds)]);
    table.push([fault, finds, codes.includes(finds) ? "found" : "not found"]);
    expect([fault, ...codes]).toContain(finds);
  }
});

test("a real account that its provider does not know is found with --live, and nothing of it is changed", async () => {
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const closed = await freePort();
  const { mercadolibre } = JSON.parse(world.environment["SMARTDASH_PROVIDERS"]!) as {
    mercadolibre: object;
  };
  const identity = `http://127.0.0.1:${closed}/identity`;
  const settings = {
    SMARTDASH_PROVIDERS: JSON.stringify({ mercadolibre: { ...mercadolibre, identity } }),
  };
  const before = { ...provider.asked };
  const found = problemsIn(await world.check(["--quick", "--live"], settings));
  expect(found.map(({ code }) => code)).toEqual(["live_failed"]);
  table.push(["an account that does not work", "live_failed", "fail"]);
  // The one question with a token that cannot exist.
  expect(provider.asked.refresh_token - before.refresh_token).toBe(1);
});

test("a database that is away, and one that lacks migrations, are findings beside all the others", async () => {
  const away = await world.check(["--quick", "--offline"], {
    DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
  });
  expect(problemsIn(away).map(({ code }) => code)).toEqual(["database_unreachable"]);
  await using empty = await emptyDatabase();
  const behind = await world.check(["--quick", "--offline"], { DATABASE_URL: empty.url });
  expect(problemsIn(behind).map(({ code }) => code)).toEqual(["database_behind"]);
  for (const report of [away, behind])
    for (const code of ["keys", "constraints", "accounts", "alerts", "switches"])
      expect(skippedIn(report)).toContain(code);
  table.push(
    ["a database that is away", "database_unreachable", "fail"],
    ["a database without tables", "database_behind", "fail"],
  );
});

test("own providers and their MCP servers are rehearsed too", async () => {
  const settings = {
    MELI_CLIENT_ID: "",
    MELI_CLIENT_SECRET: "",
    SMARTDASH_PROVIDERS: JSON.stringify({
      acme: { ...acme, title: "Acme", client_id: "x", client_secret: "a-secret-of-acme" },
    }),
    SMARTDASH_UPSTREAMS: JSON.stringify({
      acme: { url: "http://127.0.0.1:1/mcp", credential: { provider: "acme" } },
    }),
    SMARTDASH_DEFAULT_UPSTREAM: "acme",
  };
  const report = await world.check(["--offline"], settings);
  // The accounts of the deployment are Mercado Libre's.
  expect(problemsIn(report).map(({ code }) => code)).toEqual(["accounts_without_provider"]);
  expect(report.stdout).toContain("acme: invalid_grant ends the account");
});

test("few file descriptors and clocks that differ are found", async () => {
  const few = `ulimit -n 512; exec ${binary()} check --quick --offline --json`;
  const environment = { ...world.environment };
  await using program = start(["sh", "-c", few], { cwd: world.home, environment });
  expect((await program.ended()).stdout).toContain('"code":"descriptors_few"');
  const now = () => new Date(Date.now() + 60_000);
  const { db } = world.database.open;
  const [skew] = await clocksAgree({ db, now } as unknown as Parameters<typeof clocksAgree>[0]);
  expect(skew?.code).toBe("clock_skew");
  for (const code of ["descriptors_few", "clock_skew"]) table.push([code, code, "found"]);
});

/** Folders for temporary files in which no PostgreSQL can run, with what the message says of each. */
const hopeless: readonly (readonly [string, RegExp, (folder: string) => readonly string[]])[] = [
  ["is missing", /ENOENT/, () => []],
  ["does not allow programs", /EACCES/, (folder) => ["-o", "noexec", "tmpfs", folder]],
  [
    "has no room",
    /MiB of room, and 150 are needed/,
    (folder) => ["-o", "size=1m", "tmpfs", folder],
  ],
  ["cannot be written", /EROFS/, (folder) => ["-o", "ro", "tmpfs", folder]],
];

/** Undefined where this machine lets nobody mount anything. */
async function mounted(options: readonly string[], folder: string) {
  if (options.length === 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  mkdirSync(folder, { mode: 0o755 });
  const mount = Bun.spawnSync(["mount", "-t", "tmpfs", ...options], { stderr: "ignore" });
  if (mount.exitCode !== 0) return undefined;
  return { [Symbol.asyncDispose]: async () => void Bun.spawnSync(["umount", "-l", folder]) };
}

test.each(hopeless)(
  "where the folder for temporary files %s nothing is rehearsed, and check fails and counts it",
  async (what, reason, options) => {
    await using folder = await newFolder();
    const temporary = join(folder.path, "tmp");
    await using mount = await mounted(options(temporary), temporary);
    if (mount === undefined) return;
    const report = await world.check(["--offline"], { TMPDIR: temporary });
    const found = problemsIn(report);
    expect(found.map(({ code, status }) => [code, status])).toEqual([
      ["rehearsal_impossible", "fail"],
    ]);
    expect(found[0]?.message).toMatch(reason);
    expect(report.exit).toBe(1);
    const skipped = skippedIn(report);
    for (const code of ["oauth_flows", "one_refresh", "kill_switch", "canaries"])
      expect(skipped).toContain(code);
    table.push([`TMPDIR ${what}`, "rehearsal_impossible", "fail"]);
  },
);

test("what options leave out is counted in the report, its last line and the line of verify", async () => {
  const quick = await world.check(["--quick", "--offline"]);
  const { skipped } = quick.json["counts"] as { skipped: number };
  expect(skippedIn(quick)).toHaveLength(skipped);
  const wanted = ["one_refresh", "health", "canaries", "public_url_reached", "application_known"];
  for (const code of wanted) expect(skippedIn(quick)).toContain(code);
  expect(quick.exit).toBe(0);
  const path = join(world.home, "quick.json");
  writeFileSync(path, quick.stdout);
  const { environment } = world;
  const say = async (...words: readonly string[]) => {
    await using program = start([binary(), "check", ...words], { cwd: world.home, environment });
    return (await program.ended()).stdout;
  };
  expect(await say("--quick", "--offline")).toContain(`${skipped} skipped`);
  expect(await say("verify", path)).toContain(`${skipped} skipped`);
});

test("a journal that cannot be read is not called empty", async () => {
  const path = join(world.home, "no-folder");
  writeFileSync(path, "");
  const report = await world.check(["--quick", "--offline"], { SMARTDASH_JOURNAL: path });
  rmSync(path);
  const codes = problemsIn(report).map(({ code }) => code);
  expect(new Set(codes)).toEqual(new Set(["journal_unusable", "not_looked_at"]));
  expect(report.stdout).not.toContain('"journal_empty"');
});

const acme = {
  authorize: "https://login.acme.example/a",
  token: "https://login.acme.example/t",
  identity: "https://login.acme.example/me",
};
const halves: readonly (readonly [Environment, string])[] = [
  [{ MELI_CLIENT_ID: "" }, "MELI_CLIENT_ID is required with MELI_CLIENT_SECRET"],
  [{ MELI_CLIENT_SECRET: "" }, "MELI_CLIENT_SECRET is required with MELI_CLIENT_ID"],
  [{ SUPABASE_CLIENT_ID: "x" }, "SUPABASE_CLIENT_SECRET is required with SUPABASE_CLIENT_ID"],
  [
    { AIRTABLE_REDIRECT_URI: "https://mcp.example.com/auth/callback" },
    "AIRTABLE_CLIENT_ID is required with AIRTABLE_REDIRECT_URI",
  ],
  [
    { SMARTDASH_PROVIDERS: JSON.stringify({ acme: { ...acme, client_secret: "hunter2hunter2" } }) },
    "acme.client_id is required with acme.client_secret",
  ],
];

test.each(halves)(
  "half a registration is refused before anything is looked at: %p",
  async (settings, says) => {
    const report = await world.check(["--quick", "--offline"], settings);
    expect({ exit: report.exit, code: report.json["error"] }).toMatchObject({
      exit: 2,
      code: { code: "settings_invalid", message: expect.stringContaining(says) },
    });
    expect(report.stdout + report.stderr).not.toContain("hunter2");
  },
);

test("names that are almost a setting's are named with the right one, and never their values", async () => {
  const report = await world.check(["--quick", "--offline"], {
    DATABSE_URL: "postgres://u:hunter2@db/x",
    LOG_LVL: "hunter2",
    SMARTDASH_SINGUP: "hunter2",
  });
  const found = problemsIn(report);
  expect(found.map(({ code, status }) => [code, status])).toEqual(
    found.map(() => ["setting_unknown", "warn"]),
  );
  expect(found).toHaveLength(3);
  const words = found.map(({ message }) => message).join("\n");
  for (const name of ["DATABASE_URL", "LOG_LEVEL", "SMARTDASH_SIGNUP"])
    expect(words).toMatch(new RegExp(`${name}\\b`));
  expect(report.stdout).not.toContain("hunter2");
});

test("a report is verified by the node that signed it, and not when a letter was changed or another node has signed", async () => {
  const report = await world.check(["--quick", "--offline"]);
  const path = join(world.home, "report.json");
  const verify = async (text: string, changed: Environment = {}) => {
    writeFileSync(path, text);
    return await world.check(["verify", path], changed);
  };
  expect(await verify(report.stdout)).toMatchObject({
    exit: 0,
    json: { status: "pass", isSameBuild: true, isSameConfig: true },
  });
  const changedSettings = await verify(report.stdout, { LOG_LEVEL: "debug" });
  expect(changedSettings).toMatchObject({ exit: 1, json: { isSameConfig: false } });
  const forged = await verify(report.stdout.replace('"status":"pass"', '"status":"warn"'));
  expect(forged).toMatchObject({ exit: 1, json: { error: { code: "report_unverified" } } });
  const elsewhere = await verify(report.stdout, { SMARTDASH_HOME: join(world.home, "another") });
  expect(elsewhere.json).toMatchObject({
    error: { message: "The report was signed by another node" },
  });
  expect((await verify("not a report")).exit).toBe(1);
  expect(report.stdout).not.toContain(world.environment["SECRET_KEY"]!);
});

test("a rehearsal that is interrupted, or was killed before, leaves no folder and no database", async () => {
  // The bundled PostgreSQL of root runs as somebody else, who has to pass through.
  const temporary = mkdtempSync(join(tmpdir(), "sd-"));
  chmodSync(temporary, 0o711);
  const environment = { ...world.environment, TMPDIR: temporary };
  const begin = async () => {
    const program = start([binary(), "check", "--offline"], { cwd: world.home, environment });
    while (selfTestsIn(temporary).every((home) => !existsSync(join(home, "data/postmaster.pid")))) {
      await Bun.sleep(20);
    }
    return program;
  };
  const postmaster = async () => {
    const [home = ""] = selfTestsIn(temporary);
    return Number.parseInt(await Bun.file(join(home, "data/postmaster.pid")).text(), 10);
  };
  const asked = await begin();
  const started = await postmaster();
  // Also while it is being started.
  expect((await asked.end("SIGINT")).exit).toBe(130);
  expect(isAlive(started)).toBe(false);
  expect(selfTestsIn(temporary)).toEqual([]);
  const killed = await begin();
  process.kill(killed.pid, "SIGKILL");
  await killed.ended();
  const [left = ""] = selfTestsIn(temporary);
  const pid = await postmaster();
  // Until then it writes into the folder, which is as young as that.
  while (!(await Bun.file(join(left, "data/postmaster.pid")).text()).includes("ready")) {
    await Bun.sleep(20);
  }
  expect(isAlive(pid)).toBe(true);
  utimesSync(left, yearAgo, yearAgo);
  await world.check(["--offline"], { TMPDIR: temporary });
  expect(selfTestsIn(temporary)).toEqual([]);
  expect(isAlive(pid)).toBe(false);
  rmSync(temporary, { recursive: true });
});

function selfTestsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith("sd-rehearsal-"))
    .map((name) => join(folder, name));
}

test("--junit writes every finding as a test case", async () => {
  const path = join(world.home, "check.xml");
  await world.check(["--quick", "--offline", "--junit", path], {
    SMARTDASH_BACKUP_STAMP: "/nowhere",
  });
  const xml = await Bun.file(path).text();
  expect(xml).toStartWith('<?xml version="1.0" encoding="UTF-8"?>');
  expect(xml).toContain('failures="1"');
  expect(xml).toContain('<failure type="backup_old"');
  expect(new HTMLRewriter().transform(xml)).toBe(xml);
});

test("behind nginx as scripts/deploy has it nothing is found; behind one that buffers, or cuts quiet streams, it says so", async () => {
  const { good, buffered, cut, seconds } = await wholeChecks;
  console.log(`three whole checks at once: ${seconds.toFixed(1)} s`);
  expect(problemsIn(good)).toEqual([]);
  expect(good.json["status"]).toBe("pass");
  expect(seconds).toBeLessThan(60);
  expect(problemsIn(buffered).map(({ code }) => code)).toContain("stream_buffered");
  expect(problemsIn(cut).map(({ code }) => code)).toContain("stream_cut");
  table.push(
    ["nginx: buffers", "stream_buffered", "found"],
    ["nginx: cuts quiet streams", "stream_cut", "found"],
  );
  printTable(["fault", "finding", "status"], table);
});

async function checkWhole() {
  await using deployment = await goodDeployment();
  await using buffering = await deployment.anotherFront((text) =>
    text.replace(
      "proxy_buffering off;",
      "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
    ),
  );
  await using cutting = await deployment.anotherFront((text) =>
    text.replace("proxy_read_timeout 310s", "proxy_read_timeout 5s"),
  );
  const startedAt = performance.now();
  const [good, buffered, cut] = await Promise.all([
    deployment.check(["--live"]),
    deployment.check([], { PUBLIC_URL: buffering.url }),
    deployment.check([], { PUBLIC_URL: cutting.url }),
  ]);
  return { good, buffered, cut, seconds: (performance.now() - startedAt) / 1000 };
}
