/** What ends a command or a start. */
export const commandFailures = {
  settings_invalid: {
    http: 500,
    exit: 2,
    doc: "One or more settings are missing or wrong; every one is listed with its remedy. Nothing was started.",
  },
  usage: {
    http: 400,
    exit: 2,
    doc: "The command line is wrong. `smartdash COMMAND --help` shows how it is used.",
  },
  certificate_unusable: {
    http: 500,
    exit: 2,
    doc: "TLS_CERT_FILE and TLS_KEY_FILE cannot be used; the message says why. Nothing was started. A running gateway goes on with the ones it has.",
  },
  home_in_use: {
    http: 500,
    exit: 75,
    doc: "Another gateway runs on the same SMARTDASH_HOME. Stop it, use another folder, or give both a DATABASE_URL.",
  },
  home_unusable: {
    http: 500,
    exit: 2,
    doc: "SMARTDASH_HOME cannot hold the bundled database; the message says why.",
  },
  journal_unusable: {
    http: 500,
    exit: 2,
    doc: "SMARTDASH_JOURNAL cannot be written. In production nothing is served without it: a provider's answer that is lost costs the connection.",
  },
  bundled_database_failed: {
    http: 500,
    exit: 70,
    doc: "The bundled PostgreSQL did not start. Its log is `postgres.log` in SMARTDASH_HOME.",
  },
  database_unavailable: {
    http: 503,
    exit: 75,
    doc: "PostgreSQL cannot be reached or did not answer in time. Nothing was lost: it works again once the database is back. At a start, check that it runs and that DATABASE_URL names it.",
  },
  database_refused: {
    http: 500,
    exit: 2,
    doc: "PostgreSQL answers, but refuses: wrong password, no such database, or a right is missing. Check DATABASE_URL.",
  },
  database_tls_failed: {
    http: 500,
    exit: 2,
    doc: "The connection to PostgreSQL cannot be encrypted as DATABASE_URL wants it: the server speaks no TLS, or its certificate is not trusted. The message says which; sslmode and sslrootcert in docs/settings.md.",
  },
  migration_changed: {
    http: 500,
    exit: 1,
    doc: "The database was migrated by a binary that carries another wording of a migration.",
  },
  migrations_pending: {
    http: 500,
    exit: 1,
    doc: "The database needs `smartdash migrate` before this binary can serve it.",
  },
  port_unavailable: {
    http: 500,
    exit: 75,
    doc: "HOST and PORT cannot be listened on, usually because another program does.",
  },
  found: {
    http: 500,
    exit: 1,
    doc: "The command has found what it looks for; the lines above say what.",
  },
  report_unverified: {
    http: 400,
    exit: 1,
    doc: "A report of `smartdash check` is not what this node has signed: it was changed, or comes from another node.",
  },
  source_refused: {
    http: 502,
    exit: 75,
    doc: "The store that credentials are imported from did not answer, or refuses its keys. What was imported stays imported; run it again to go on.",
  },
  not_running: { http: 503, exit: 75, doc: "No gateway answers at the address that was asked." },
} as const;
