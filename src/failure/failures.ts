/**
 * The error codes of OAuth as its documents define them: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1,
 * RFC 7591 section 3.2.2, RFC 8628 section 3.5, RFC 8707 section 2.
 */
export const oauthErrors = {
  invalid_request: {
    http: 400,
    doc: "A parameter is missing, duplicated or invalid; the description says which.",
  },
  invalid_client: {
    http: 401,
    doc: "The client is unknown, was removed, or did not prove itself. Register again.",
  },
  invalid_grant: {
    http: 400,
    doc: "The code or refresh token is unknown, expired, used, ended, or another client's. Authorize again.",
  },
  unauthorized_client: {
    http: 400,
    doc: "The client is not registered for this grant type.",
  },
  unsupported_grant_type: {
    http: 400,
    doc: "Unknown grant type; the metadata lists the supported ones.",
  },
  unsupported_response_type: { http: 400, doc: "Only response_type=code is there." },
  invalid_scope: {
    http: 400,
    doc: "None of the scopes that were asked for may be given to this client.",
  },
  invalid_target: {
    http: 400,
    doc: "`resource` is not an MCP address of this gateway that this client may use, or is duplicated (RFC 8707).",
  },
  access_denied: { http: 403, doc: "The person did not allow it." },
  interaction_required: {
    http: 400,
    doc: "prompt=none was sent, but a person has to decide.",
  },
  authorization_pending: {
    http: 400,
    doc: "The person has not decided about this device yet; ask again after the interval.",
  },
  slow_down: {
    http: 400,
    doc: "The device asks too often; its interval has grown by five seconds.",
  },
  expired_token: {
    http: 400,
    doc: "The device code is older than 15 minutes. Begin again.",
  },
  invalid_redirect_uri: {
    http: 400,
    doc: "A redirect URI is neither https, nor loopback, nor the private scheme of a known desktop client.",
  },
  invalid_client_metadata: {
    http: 400,
    doc: "What the client says about itself cannot be registered; the description says why.",
  },
  insufficient_scope: {
    http: 403,
    doc: "The token lacks a scope that this message needs; the challenge names all of them.",
  },
} as const;

/** What guards refuse an agent. */
export const guardFailures = {
  switched_off: {
    http: 503,
    doc: "The operator has switched this provider, account, agent or tool, or everything, off for a while (`smartdash switch`). Try again later; nothing is lost.",
  },
  agent_stopped: {
    http: 403,
    doc: "This agent went round in circles and did not stop when it was told. The person it works for lets it go on at the gateway's page, the operator with `smartdash switch on`.",
  },
  rate_limited: {
    http: 429,
    doc: "More calls than the limit allows (SMARTDASH_LIMITS). The answer says when the next one may be made, in Retry-After and in its words.",
  },
  too_many_at_once: {
    http: 429,
    doc: "So many calls or streams of this agent are open already that no more begin (SMARTDASH_CALLS_AT_ONCE, SMARTDASH_STREAMS_AT_ONCE). Wait for one to end.",
  },
  budget_spent: {
    http: 429,
    doc: "The calls that this agent or account may make in the period are used up (SMARTDASH_BUDGETS).",
  },
  loop_noticed: {
    http: 429,
    doc: "The agent repeats itself: the same call with the same result, a cycle of calls, or one failure after another. Told as the result of the tool, with when it may go on.",
  },
  loop_refused: {
    http: 429,
    doc: "The agent went on repeating itself after it had been told. Still the answer says when it may go on; if it does not wait, it is stopped (`agent_stopped`).",
  },
  provider_pace: {
    http: 429,
    doc: "The provider allows only so many calls in a time and punishes more. The call was not sent; try again after Retry-After.",
  },
  tool_refused: {
    http: 403,
    doc: "The tool is not among those that the upstream's rules, the agent's or the permission's policy allow.",
  },
  tool_held: {
    http: 403,
    doc: "The tool is new or has changed since the operator last looked (`smartdash tools diff`), or the operator holds it back (`smartdash tools list`). It cannot be used before it is approved.",
  },
  approval_needed: {
    http: 403,
    doc: "A person has to allow this very call. The answer carries the link; call again with the same arguments after they have.",
  },
  approval_refused: { http: 403, doc: "The person did not allow this call." },
} as const;

/** What can go wrong on the pages of a person: connecting, signing in, deciding. */
export const pageFailures = {
  once_only: {
    http: 400,
    exit: 2,
    doc: "This call can be allowed once, and neither for an hour nor always: it moves money, or cannot be undone.",
  },
  provider_unknown: { http: 404, exit: 2, doc: "No provider of this name is configured." },
  provider_not_configured: {
    http: 503,
    exit: 2,
    doc: "The provider has no client id or redirect URI in the settings.",
  },
  site_unknown: { http: 400, doc: "The provider has no such country site." },
  state_missing: { http: 400, doc: "The provider's answer carries no state." },
  state_unknown: {
    http: 400,
    doc: "This connection attempt is unknown or was already used; each works once.",
  },
  state_expired: { http: 400, doc: "This connection attempt is older than 15 minutes." },
  state_foreign: { http: 400, doc: "This connection attempt was begun in another browser." },
  consent_denied: { http: 403, doc: "The person did not allow the connection at the provider." },
  provider_said_no: {
    http: 400,
    doc: "The provider ended the connection attempt with an error; its code is shown.",
  },
  exchange_failed: {
    http: 502,
    doc: "The provider did not exchange the authorization code for a credential.",
  },
  identity_failed: {
    http: 502,
    doc: "The provider did not say whose credential it is. When it refuses to (401 or 403 of its identity endpoint), the application there lacks a permission, which the page names: tick it and connect again.",
  },
  other_seller: {
    http: 409,
    doc: "Another seller than the expected one was connected; the expected account was not changed.",
  },
  account_of_another: { http: 409, doc: "This account is connected here by another person." },
  key_missing: { http: 400, doc: "The form has no api_key." },
  key_retired: {
    http: 400,
    doc: "Airtable API keys (`key…`) were shut off in February 2024; use a personal access token (`pat…`).",
  },
  key_refused: { http: 401, doc: "The provider does not accept this key." },
  account_has_oauth: {
    http: 409,
    doc: "This account is already connected through OAuth, which a key never replaces: create a session for it on the gateway's page.",
  },
  sign_in_needed: {
    http: 401,
    doc: "This page is for a signed-in person. Connect an account first.",
  },
  account_gone: {
    http: 409,
    doc: "The account that was chosen is not connected any more. Start again from the agent.",
  },
  client_unknown: {
    http: 400,
    doc: "The client_id is not registered here, or its metadata document cannot be used. Nothing was sent anywhere.",
  },
  redirect_uri_unknown: {
    http: 400,
    doc: "The redirect_uri is not one that this client registered, so nobody is sent there.",
  },
  consent_expired: {
    http: 403,
    doc: "The consent page is older than 15 minutes or belongs to another request. Start again from the agent.",
  },
  device_code_unknown: {
    http: 400,
    doc: "This device code is unknown, was used, or is older than 15 minutes.",
  },
  invite_needed: {
    http: 403,
    doc: "New people need an invitation here (SMARTDASH_SIGNUP). The operator makes one with: smartdash invite",
  },
  invite_unknown: {
    http: 400,
    doc: "This invitation is unknown, was used, or is older than seven days.",
  },
  search_too_long: {
    http: 503,
    message: "This search took longer than four seconds and was stopped",
    doc: "A search of calls looked at more than it can in four seconds. Name an upstream or an account, or look less far back; `smartdash calls list` has no such limit.",
  },
  operator_needed: {
    http: 403,
    message: "An auditor may look at everything here, and change nothing",
    doc: "The browser is at the operator's console as an auditor. What changes something needs a link of `smartdash console` without `--role auditor`.",
  },
  review_link_needed: {
    http: 403,
    doc: "The operator's pages open with a link of `smartdash console` or `smartdash tools review`. A link works once, within ten minutes; the browser may look for an hour.",
  },
  definition_decided: {
    http: 409,
    doc: "Somebody has decided about this definition since the page was loaded, or there is none. Nothing was changed; load the page again. `smartdash tools list` says what was decided, and by whom.",
  },
  check_running: {
    http: 409,
    doc: "A check of this deployment is at work already. Wait until it has ended, three minutes at most; its report is at `/console/check`.",
  },
  check_not_run: {
    http: 502,
    doc: "A check that was started on the console has ended without a report. Execute `smartdash check` on that machine: it says why.",
  },
  wrong_person: {
    http: 403,
    doc: "This link is for another person than the one who is signed in here. Nothing was changed.",
  },
  too_many_requests: {
    http: 429,
    exit: 75,
    doc: "Too many of these from one address. Wait as long as Retry-After says.",
  },
} as const;

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

/** What goes wrong between nodes. */
export const edgeFailures = {
  node_unknown: {
    http: 404,
    doc: "This node is not called that, and knows no node that is and that it trusts. `smartdash node show` says what it is called, `smartdash peers list` whom it trusts.",
  },
  peer_unknown: {
    http: 404,
    exit: 1,
    doc: "No node of this name has been found, and none is trusted. Give its whole peer id and where it is: `smartdash peers connect PEER_ID --address https://…`.",
  },
  peer_unreachable: {
    http: 502,
    exit: 75,
    doc: "The node answers at none of the addresses that are known of it. Is it on, and is its address right?",
  },
  peer_insecure: {
    http: 502,
    exit: 1,
    doc: "The node is to be reached over http, or at an address that only it could have named. Nodes speak https with each other, except on this very machine; an address that you type yourself (`--address`) may be any.",
  },
  peer_not_proven: {
    http: 502,
    exit: 1,
    doc: "What answers at the node's address is not that node: its names, its signature, its certificate or its address are not what they have to be. Nothing but our public document was sent to it. Has its key been rotated? Then forget the old peer id and trust the new one.",
  },
  peer_not_trusted: {
    http: 403,
    exit: 1,
    doc: "The node is who it says it is, but it is not trusted here, or this node is not trusted there: `smartdash peers trust PEER_ID` on both.",
  },
  challenge_refused: {
    http: 403,
    doc: "The answer to a challenge was wrong, late (10 seconds) or not the first one. Begin anew.",
  },
} as const;
