type Problem = {
  readonly chapter: Chapter;
  /** `fail`: do not deploy. */
  readonly status: "fail" | "warn";
  readonly remedy: string;
};

/** The chapters of the production checklist, as the owner's first document numbers them. */
export const chapters = {
  1: "Credentials",
  2: "OAuth",
  3: "Proxy",
  4: "Database",
  5: "Observability",
  6: "Health",
  7: "Agents",
  8: "Scale",
  9: "Before a deploy",
  10: "Contingency",
} as const;

export type Chapter = keyof typeof chapters;

/** What can be wrong with credentials, providers' settings and the database. */
const rulesAtRest = {
  env_file_present: {
    chapter: 1,
    status: "fail",
    remedy: "Remove the file: it is never read, and whoever can read the folder has its secrets.",
  },
  mode_not_production: {
    chapter: 1,
    status: "warn",
    remedy: "Set SMARTDASH_MODE=production, or leave it out.",
  },
  key_weak: {
    chapter: 1,
    status: "fail",
    remedy: "Make a new key with `openssl rand -base64 32`, and follow the runbook's key rotation.",
  },
  key_old: {
    chapter: 1,
    status: "warn",
    remedy: "Rotate it: docs/runbook.md, replacing the encryption key.",
  },
  signing_key_old: {
    chapter: 1,
    status: "warn",
    remedy: "Run: smartdash keys rotate",
  },
  key_retired: {
    chapter: 1,
    status: "fail",
    remedy:
      "Run: smartdash keys reseal. Until this is gone, the key has to stay in ENCRYPTION_KEY. An answer in the journal is stored by a running gateway within seconds.",
  },
  key_missing: {
    chapter: 1,
    status: "fail",
    remedy:
      "Put that key behind the others in ENCRYPTION_KEY, separated by a comma; without it these connections are lost.",
  },
  node_key_unreadable: {
    chapter: 1,
    status: "fail",
    remedy:
      "The report is not signed. If node.key belongs to another user (a command was run as root), chown it to the gateway's. Otherwise put the key that sealed node.key back into ENCRYPTION_KEY and run `smartdash keys reseal`; or delete node.key, and older reports cannot be verified any more.",
  },
  file_open: {
    chapter: 1,
    status: "fail",
    remedy: "Take the rights away from others: chmod 600 for the file, 700 for the folder.",
  },
  secret_in_arguments: {
    chapter: 1,
    status: "fail",
    remedy:
      "Everybody on this machine can read it. Give secrets by environment or file, and replace the ones that were shown.",
  },
  provider_not_configured: {
    chapter: 2,
    status: "warn",
    remedy: "Nobody can connect an account: set a client id and secret (docs/settings.md).",
  },
  accounts_without_provider: {
    chapter: 2,
    status: "fail",
    remedy:
      "They can be neither renewed nor connected again. Set that provider's client id and secret as they were, or end the accounts: smartdash revoke --provider NAME.",
  },
  redirect_uri_not_https: {
    chapter: 2,
    status: "fail",
    remedy:
      "Providers hand the code to that address: it has to be https, here and at the provider.",
  },
  redirect_uri_elsewhere: {
    chapter: 2,
    status: "fail",
    remedy:
      "The address does not lead to this gateway. Compare it with PUBLIC_URL, and with what is registered at the provider.",
  },
  pkce_off: {
    chapter: 2,
    status: "warn",
    remedy: "Tick PKCE in the provider's developer console and set its …_PKCE setting to on.",
  },
  oauth_flow_failed: {
    chapter: 2,
    status: "fail",
    remedy:
      "With these settings nobody could connect an account. The message names the step; compare the provider's settings with docs/providers.md.",
  },
  application_unknown: {
    chapter: 2,
    status: "fail",
    remedy:
      "The provider refuses this client id or secret. Compare them with its developer console.",
  },
  application_refused: {
    chapter: 2,
    status: "fail",
    remedy: "Running gateways were told so too: docs/runbook.md#provider_refuses_application.",
  },
  provider_unreachable: {
    chapter: 2,
    status: "warn",
    remedy: "Can this machine reach the internet? A proxy is named by HTTPS_PROXY.",
  },
  provider_closed: {
    chapter: 2,
    status: "warn",
    remedy: "It has not been answering: docs/runbook.md#provider_closed.",
  },
  database_unreachable: {
    chapter: 4,
    status: "fail",
    remedy: "Nothing in it was looked at: docs/runbook.md#database_unavailable.",
  },
  database_behind: {
    chapter: 4,
    status: "fail",
    remedy: "Run: smartdash migrate. Nothing else in it was looked at.",
  },
  database_old: {
    chapter: 4,
    status: "fail",
    remedy: "PostgreSQL 14 or newer is needed.",
  },
  database_bundled: {
    chapter: 4,
    status: "warn",
    remedy:
      "One machine holds everything: back up SMARTDASH_HOME as a cold copy, or set DATABASE_URL for more than one gateway.",
  },
  constraint_missing: {
    chapter: 4,
    status: "fail",
    remedy: "Somebody has changed the schema. Restore it: docs/errors.md#migration_changed.",
  },
  database_superuser: {
    chapter: 4,
    status: "warn",
    remedy: "Give the gateway a role that owns its database and nothing else.",
  },
  database_plain: {
    chapter: 4,
    status: "fail",
    remedy: "Add ?sslmode=require (or verify-full) to DATABASE_URL.",
  },
  clock_skew: {
    chapter: 4,
    status: "warn",
    remedy: "Let both machines follow NTP; tokens seem to end early or late.",
  },
  backup_old: {
    chapter: 4,
    status: "fail",
    remedy: "Look at the backup job; it touches SMARTDASH_BACKUP_STAMP when it has ended well.",
  },
  journal_unusable: {
    chapter: 4,
    status: "fail",
    remedy:
      "Make room there, or set SMARTDASH_JOURNAL to a folder on a local disk that the gateway's user may write.",
  },
  journal_waiting: {
    chapter: 4,
    status: "warn",
    remedy: "Keep the folder and its keys; a running gateway stores them within seconds.",
  },
  account_ambiguous: {
    chapter: 4,
    status: "warn",
    remedy: "docs/runbook.md#refresh_unanswered and docs/runbook.md#database_restored.",
  },
  account_reconnect_required: {
    chapter: 4,
    status: "warn",
    remedy: "Their people have to connect them again: docs/runbook.md#reconnect_required.",
  },
  account_revoking: {
    chapter: 4,
    status: "warn",
    remedy: "docs/runbook.md#revocation_pending.",
  },
  cleanup_overdue: {
    chapter: 4,
    status: "warn",
    remedy: "Let cron run `smartdash cleanup` once a week.",
  },
} as const satisfies Record<string, Problem>;

/** Everything that `smartdash check` can find. A test keeps docs/checks.md equal to this table. */
export const problems = {
  ...rulesAtRest,
  public_url_missing: {
    chapter: 3,
    status: "fail",
    remedy: "Set PUBLIC_URL to the https address by which browsers and agents come.",
  },
  public_url_not_https: {
    chapter: 3,
    status: "warn",
    remedy: "Loopback is for trying things out: agents and providers need an https address.",
  },
  gateway_not_running: {
    chapter: 3,
    status: "warn",
    remedy:
      "Nothing was tested through PUBLIC_URL. Start the gateway (smartdash serve) and check again.",
  },
  public_url_unreachable: {
    chapter: 3,
    status: "fail",
    remedy:
      "The gateway runs, but not behind that address: look at DNS, TLS and the proxy in front.",
  },
  public_url_elsewhere: {
    chapter: 3,
    status: "fail",
    remedy:
      "Whoever answers there has other keys, or is an older smartdash: it would refuse what this deployment hands out.",
  },
  host_rewritten: {
    chapter: 3,
    status: "fail",
    remedy: "The proxy in front has to hand on the Host header: proxy_set_header Host $http_host;",
  },
  stream_buffered: {
    chapter: 3,
    status: "fail",
    remedy:
      "The proxy in front holds events back: proxy_buffering off; (nginx), flush_interval -1 (Caddy), no response buffering at the CDN.",
  },
  stream_compressed: {
    chapter: 3,
    status: "fail",
    remedy: "Compression holds events back: gzip off; for the MCP addresses.",
  },
  stream_slow: {
    chapter: 3,
    status: "warn",
    remedy: "The first byte took more than a second: is something in front waiting for more?",
  },
  stream_cut: {
    chapter: 3,
    status: "fail",
    remedy:
      "Something in front ends quiet streams: proxy_read_timeout 310s; and STREAM_KEEPALIVE_MS below every idle limit.",
  },
  keepalive_missing: {
    chapter: 3,
    status: "fail",
    remedy:
      "Comments on a quiet stream do not arrive: lower STREAM_KEEPALIVE_MS (15000 is usual), and see stream_buffered.",
  },
  keepalive_slow: {
    chapter: 3,
    status: "warn",
    remedy:
      "Many proxies end a connection after 60 seconds of silence: set STREAM_KEEPALIVE_MS to 15000.",
  },
  disconnect_kept: {
    chapter: 3,
    status: "warn",
    remedy:
      "A client that goes away is not noticed through PUBLIC_URL; its call runs on: proxy_ignore_client_abort off;",
  },
  proxy_failed: {
    chapter: 3,
    status: "fail",
    remedy:
      "A call through this binary with these settings did not go as it must. The message says what happened.",
  },
  timeouts_crossed: {
    chapter: 3,
    status: "warn",
    remedy: "UPSTREAM_TOTAL_TIMEOUT_MS must not be below UPSTREAM_FIRST_BYTE_TIMEOUT_MS.",
  },
  secret_leaked: {
    chapter: 5,
    status: "fail",
    remedy: "Internal error: do not deploy, and report it with `smartdash --version`.",
  },
  alerts_nowhere: {
    chapter: 5,
    status: "warn",
    remedy:
      "Alerts are only in the log: set ALERT_WEBHOOK_URL, ALERT_SLACK_URL, … (docs/settings.md).",
  },
  alert_not_delivered: {
    chapter: 5,
    status: "fail",
    remedy: "Run: smartdash alerts test",
  },
  alert_firing: {
    chapter: 5,
    status: "warn",
    remedy: "Run: smartdash alerts list",
  },
  log_too_quiet: {
    chapter: 5,
    status: "warn",
    remedy: "Set LOG_LEVEL=info: without it the log does not say what happened.",
  },
  health_failed: {
    chapter: 6,
    status: "fail",
    remedy: "Monitors would find it down: docs/runbook.md#first-look.",
  },
  limit_missing: {
    chapter: 7,
    status: "fail",
    remedy: "A limit of this binary did not hold: do not deploy, and report it.",
  },
  signup_open: {
    chapter: 7,
    status: "warn",
    remedy: "Everybody may come in and use this gateway: SMARTDASH_SIGNUP=invite, or a list.",
  },
  descriptors_few: {
    chapter: 8,
    status: "warn",
    remedy: "LimitNOFILE=65536 in the unit: each open stream takes two.",
  },
  connections_short: {
    chapter: 8,
    status: "warn",
    remedy: "Lower DATABASE_CONNECTIONS, raise max_connections, or put a pooler between.",
  },
  client_fails: {
    chapter: 9,
    status: "fail",
    remedy: "tools/list did not work as this client asks for it.",
  },
  live_failed: {
    chapter: 9,
    status: "fail",
    remedy: "A real account does not work now: /api/mcp/NAME/health, then docs/runbook.md.",
  },
  switch_failed: {
    chapter: 10,
    status: "fail",
    remedy: "The kill switch did not hold: do not deploy, and report it.",
  },
  switched_off: {
    chapter: 10,
    status: "warn",
    remedy: "Run: smartdash switch on NAME, when its reason is over.",
  },
  previous_unknown: {
    chapter: 10,
    status: "warn",
    remedy:
      "Nothing runs that could be gone back to. Keep the binary that is replaced: the runbook's last step is to put it back.",
  },
  not_looked_at: {
    chapter: 9,
    status: "fail",
    remedy:
      "One part of the checklist could not be executed; the message says which and why (a right that is missing, a file that cannot be read).",
  },
  rehearsal_failed: {
    chapter: 9,
    status: "fail",
    remedy:
      "The flows were not executed, because the simulated deployment could not be made of these settings: the message names what stands in the way. If the settings are right, report it.",
  },
  rehearsal_impossible: {
    chapter: 9,
    status: "fail",
    remedy:
      "The flows were not executed: this build has no PostgreSQL inside, there is no /bin/sh (as in the image), or TMPDIR names no folder that can be written, has 150 MiB of room and allows programs to run. Set TMPDIR, check on another machine, or leave the flows out on purpose with --quick.",
  },
  setting_unknown: {
    chapter: 9,
    status: "warn",
    remedy: "Correct the name, or take it out of the gateway's environment (docs/settings.md).",
  },
} as const satisfies Record<string, Problem>;

export type ProblemCode = keyof typeof problems;
