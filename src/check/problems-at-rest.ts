import type { Problem } from "./problem.ts";

/** What can be wrong with credentials, providers' settings and the database. */
export const problemsAtRest = {
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
