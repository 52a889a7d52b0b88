import type { Problem } from "./problem.ts";
import { problemsAtRest } from "./problems-at-rest.ts";

/** Everything that `smartdash check` can find. A test keeps docs/checks.md equal to this table. */
export const problems = {
  ...problemsAtRest,
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
    remedy: "A mistake of ours: do not deploy, and report it with `smartdash --version`.",
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
