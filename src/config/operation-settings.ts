import type { Setting } from "./setting.ts";

/** What is measured, told, kept and taken over for the operator. */
export const operationSettings = {
  METRICS_TOKEN: {
    kind: "text",
    secret: true,
    doc: "Bearer with which `/metrics` (Prometheus) may be read, 16 characters or more. Not set: there is no such address, unless METRICS_PORT is set.",
  },
  METRICS_PORT: {
    kind: "port",
    doc: "Port of loopback on which `/metrics` may be read without a bearer.",
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    kind: "url",
    doc: "OpenTelemetry collector (OTLP over HTTP) that traces of calls and refreshes are sent to, e.g. `http://127.0.0.1:4318`. Not set: none are made.",
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    kind: "text",
    secret: true,
    doc: "Headers for that collector: `name=value`, comma separated.",
  },
  OTEL_SERVICE_NAME: {
    kind: "text",
    default: "smartdash",
    doc: "Name of this service in traces.",
  },
  ALERT_WEBHOOK_URL: {
    kind: "url",
    secret: true,
    doc: "Where alerts are POSTed, signed as Standard Webhooks say (`webhook-id`, `webhook-timestamp`, `webhook-signature`).",
  },
  ALERT_WEBHOOK_SECRET: {
    kind: "text",
    secret: true,
    doc: "Secret of that signature: `whsec_` and base64, or any text of 24 characters or more.",
  },
  ALERT_SLACK_URL: { kind: "url", secret: true, doc: "Slack incoming webhook for alerts." },
  ALERT_DISCORD_URL: { kind: "url", secret: true, doc: "Discord webhook for alerts." },
  ALERT_HEALTHCHECKS_URL: {
    kind: "url",
    secret: true,
    doc: "Ping address of a healthchecks.io check: pinged every minute while nothing is wrong, `/fail` when an alert begins.",
  },
  ALERT_COOLDOWN_MS: {
    kind: "milliseconds",
    default: "3600000",
    doc: "An alert that has ended and begins again is told again only after so long.",
  },
  SMARTDASH_KEEP_CALLS_DAYS: {
    kind: "count",
    default: "90",
    doc: "`smartdash cleanup` removes calls of the audit trail after so many days.",
  },
  SMARTDASH_KEEP_EVENTS_DAYS: {
    kind: "count",
    default: "90",
    doc: "`smartdash cleanup` removes refresh events, ended sessions and grants, and alerts that are over after so many days.",
  },
  SMARTDASH_KEEP_REVOKED_DAYS: {
    kind: "count",
    default: "30",
    doc: "`smartdash cleanup` removes disconnected accounts after so many days; their credentials are erased at once.",
  },
  SMARTDASH_BACKUP_STAMP: {
    kind: "text",
    doc: "File that your backup job touches when it has ended: `smartdash check` says when that was more than two days ago.",
  },
  PARSE_SERVER_URL: {
    kind: "url",
    default: "https://parseapi.back4app.com",
    doc: "`smartdash import back4app`: the Parse server.",
  },
  PARSE_APP_ID: { kind: "text", doc: "`smartdash import back4app`: application id." },
  PARSE_MASTER_KEY: {
    kind: "text",
    secret: true,
    doc: "`smartdash import back4app`: master key.",
  },
  PARSE_FERNET_KEYS: {
    kind: "keys",
    secret: true,
    doc: "`smartdash import back4app`: the Fernet keys that sealed the tokens there, comma separated; those of ENCRYPTION_KEY are tried too.",
  },
} as const satisfies Record<string, Setting>;
