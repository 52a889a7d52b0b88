import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { settings } from "#src/config/settings.ts";
import { aboutUnknown, editsBetween, unknownNames } from "#src/config/unknown-names.ts";
import { check } from "#test/support/property.ts";

const names = Object.keys(settings);
const meantIn = (...given: readonly string[]) =>
  unknownNames(Object.fromEntries(given.map((name) => [name, "hunter2"]))).map((each) => [
    each.name,
    each.meant,
  ]);

test("names that are a letter or two from a setting are named with it", () => {
  const pairs = [
    ["DATABSE_URL", "DATABASE_URL"],
    ["DATABASE_URI", "DATABASE_URL"],
    ["LOG_LVL", "LOG_LEVEL"],
    ["LOGLEVEL", "LOG_LEVEL"],
    ["log_level", "LOG_LEVEL"],
    ["ENCRYPTON_KEY", "ENCRYPTION_KEY"],
    ["ALLOWED_HOST", "ALLOWED_HOSTS"],
    ["SMARTDASH_SINGUP", "SMARTDASH_SIGNUP"],
    ["SMARTDASH_SIGN_UP", "SMARTDASH_SIGNUP"],
    ["MELI_CLINET_SECERT", "MELI_CLIENT_SECRET"],
    ["SUPABASE_CLIENTID", "SUPABASE_CLIENT_ID"],
    ["SMARTDASH_LOG_LEVEL", "LOG_LEVEL"],
    ["SMARTDASH_PORT", "PORT"],
    ["SMARTDASH_DATABASE_URL", "DATABASE_URL"],
  ] as const;
  for (const [name, meant] of pairs) expect(meantIn(name)).toEqual([[name, meant]]);
});

test("names that begin like ours alone are named, even when nothing is near", () => {
  const given = ["SMARTDASH_FLAVOUR", "MELI_COUNTRY", "MERCADOPAGO_TOKEN", "AIRTABLE_API_KEY"];
  expect(meantIn(...given)).toEqual(given.map((name) => [name, undefined]));
  expect(aboutUnknown({ name: "MELI_COUNTRY", meant: undefined })).toBe(
    "MELI_COUNTRY is not a setting, and has no effect",
  );
});

test("no setting is unknown, whatever it holds, and what is empty is not given", () => {
  expect(meantIn(...names)).toEqual([]);
  expect(unknownNames({ SMARTDASH_SINGUP: "", DATABSE_URL: " ", LOG_LVL: undefined })).toEqual([]);
});

/** What the surroundings of a gateway put there, by where. */
const surroundings: Readonly<Record<string, string>> = {
  shell:
    "HOME HOSTNAME HISTSIZE LANG LANGUAGE LC_ALL LOGNAME LS_COLORS MAIL MAILTO OLDPWD PATH PWD SHELL SHLVL TERM TERM_PROGRAM TMPDIR TZ USER USERNAME COLORTERM DISPLAY EDITOR PAGER SSH_AUTH_SOCK SSH_CLIENT SSH_CONNECTION SSH_TTY XDG_DATA_HOME XDG_RUNTIME_DIR XDG_SESSION_ID XDG_SEAT DBUS_SESSION_BUS_ADDRESS SUDO_USER SUDO_UID SUDO_COMMAND HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy _",
  certificates:
    "SSL_CERT_FILE SSL_CERT_DIR SSL_KEY_FILE NODE_EXTRA_CA_CERTS CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GIT_SSL_CAINFO AWS_CA_BUNDLE PIP_CERT",
  systemd:
    "INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES MAINPID MANAGERPID SYSTEMD_EXEC_PID RUNTIME_DIRECTORY STATE_DIRECTORY CACHE_DIRECTORY LOGS_DIRECTORY CONFIGURATION_DIRECTORY CREDENTIALS_DIRECTORY MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE SERVICE_RESULT EXIT_CODE EXIT_STATUS",
  kubernetes:
    "KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT KUBERNETES_PORT_443_TCP KUBERNETES_PORT_443_TCP_PROTO KUBERNETES_PORT_443_TCP_PORT KUBERNETES_PORT_443_TCP_ADDR SMARTDASH_SERVICE_HOST SMARTDASH_SERVICE_PORT SMARTDASH_SERVICE_PORT_HTTP SMARTDASH_PORT_8000_TCP SMARTDASH_PORT_8000_TCP_PROTO SMARTDASH_PORT_8000_TCP_PORT SMARTDASH_PORT_8000_TCP_ADDR SMARTDASH_POSTGRES_SERVICE_HOST MELI_MCP_SERVICE_HOST AIRTABLE_MCP_PORT_80_TCP POD_NAME POD_NAMESPACE POD_IP NODE_NAME",
  npm: "npm_command npm_config_loglevel npm_config_user_agent npm_config_log_level npm_execpath npm_lifecycle_event npm_lifecycle_script npm_node_execpath npm_package_json npm_package_name npm_package_version INIT_CWD NODE NODE_ENV NODE_OPTIONS BUN_INSTALL BUN_CONFIG_MAX_HTTP_REQUESTS DENO_DIR",
  actions:
    "CI GITHUB_ACTIONS GITHUB_ACTOR GITHUB_API_URL GITHUB_BASE_REF GITHUB_ENV GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_JOB GITHUB_OUTPUT GITHUB_PATH GITHUB_REF GITHUB_REPOSITORY GITHUB_RUN_ID GITHUB_SERVER_URL GITHUB_SHA GITHUB_TOKEN GITHUB_WORKFLOW GITHUB_WORKSPACE RUNNER_ARCH RUNNER_DEBUG RUNNER_NAME RUNNER_OS RUNNER_TEMP RUNNER_TOOL_CACHE ACTIONS_RUNTIME_TOKEN ACTIONS_CACHE_URL ImageOS JAVA_HOME",
  platforms:
    "RAILWAY_ENVIRONMENT RAILWAY_PROJECT_ID RAILWAY_SERVICE_NAME RAILWAY_PUBLIC_DOMAIN RAILWAY_PRIVATE_DOMAIN RAILWAY_STATIC_URL DATABASE_PUBLIC_URL DATABASE_PRIVATE_URL FLY_APP_NAME FLY_REGION FLY_ALLOC_ID FLY_MACHINE_ID FLY_PUBLIC_IP FLY_PRIVATE_IP FLY_IMAGE_REF FLY_VM_MEMORY_MB PRIMARY_REGION RENDER RENDER_SERVICE_NAME RENDER_EXTERNAL_URL RENDER_EXTERNAL_HOSTNAME RENDER_GIT_COMMIT RENDER_INSTANCE_ID IS_PULL_REQUEST DYNO HEROKU_APP_NAME HEROKU_SLUG_COMMIT HEROKU_POSTGRESQL_AMBER_URL REDIS_URL WEB_CONCURRENCY",
  neighbours:
    "POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE OTEL_SDK_DISABLED OTEL_RESOURCE_ATTRIBUTES OTEL_EXPORTER_OTLP_PROTOCOL OTEL_EXPORTER_OTLP_TIMEOUT OTEL_EXPORTER_OTLP_INSECURE OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_TRACES_EXPORTER SUPABASE_URL SUPABASE_ANON_KEY SUPABASE_ACCESS_TOKEN SUPABASE_PROJECT_ID NANGO_ENCRYPTION_KEY RUST_LOG CLIENT_ID CLIENT_SECRET ACCESS_TOKEN API_URL BASE_URL APP_URL",
  ours: "SMARTDASH_BEARER SMARTDASH_REVISION SMARTDASH_TEST_SEED SMARTDASH_TEST_LONG SMARTDASH_REAL_PARSE",
};

test.each(Object.entries(surroundings))("%s raises no alarm", (_, text) => {
  expect(meantIn(...text.split(" "))).toEqual([]);
});

test("this very environment raises no alarm, nor do addresses of services under our name", () => {
  const others = Object.entries(process.env).filter(([name]) => !/^(MELI|AIRTABLE)_/.test(name));
  expect(unknownNames(Object.fromEntries(others))).toEqual([]);
  const linked = {
    SMARTDASH_PORT: "tcp://10.0.0.1:8000",
    SMARTDASH_NAME: "/web/smartdash",
    SMARTDASH_ENV_LOG_LEVEL: "info",
    METRIC_PORT: "tcp://10.0.0.2:9090",
  };
  expect(unknownNames(linked)).toEqual([]);
});

test("edits are counted both ways alike, and never more than there are", () => {
  const name = fc.constantFrom(...names);
  const letter = fc.constantFrom("A", "E", "I", "L", "S", "T", "_");
  const places = fc.tuple(fc.nat(), letter, fc.constantFrom("take", "put", "change", "swap"));
  check(
    fc.property(name, fc.array(places, { maxLength: 2 }), (start, edits) => {
      const edited = edits.reduce((text, [place, added, how]) => {
        const at = place % text.length;
        const [one = "", two = ""] = text.slice(at, at + 2);
        if (how === "take") return text.slice(0, at) + text.slice(at + 1);
        if (how === "put") return text.slice(0, at) + added + text.slice(at);
        if (how === "change") return text.slice(0, at) + added + text.slice(at + 1);
        return text.slice(0, at) + two + one + text.slice(at + 2);
      }, start);
      const counted = editsBetween(start, edited);
      expect(counted).toBe(editsBetween(edited, start));
      expect(counted === 0).toBe(start === edited);
      // Two exchanges that overlap are counted as what they change.
      const overlap = edits.filter(([, , how]) => how === "swap").length > 0 && edits.length > 1;
      if (!overlap) expect(counted).toBeLessThanOrEqual(edits.length);
    }),
    { cases: 300 },
  );
});
