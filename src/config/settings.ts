import type { Setting } from "./setting.ts";

/** The edge extension: gateways that know each other. */
const edgeSettings = {
  SMARTDASH_EDGE: {
    kind: "flag",
    default: "off",
    doc: "Makes this gateway a node: `/mcp/node/…`, `/mcp/tools/call`, `/discovery/…`, and an MCP server of its own named `node` ([edge.md](edge.md)). Off, nothing of it is loaded.",
  },
  EDGE_NODE_NAME: {
    kind: "text",
    doc: "A name of your own for this node, beside the one that comes from its key: `/mcp/node/node-1/info`. Lower-case letters, digits and hyphens.",
  },
  SMARTDASH_EDGE_DISCOVERY: {
    kind: "list",
    default: "mdns",
    doc: "How a node looks for others: `mdns` (the local network), `libp2p` (TCP, Noise, Kademlia), both separated by a comma, or `none`. What is found is a hint, and never trusted for that.",
  },
  SMARTDASH_EDGE_INTERFACE: {
    kind: "text",
    doc: "Address of the one network interface that mDNS uses, e.g. `192.168.1.100`. Default: as the system chooses.",
  },
  SMARTDASH_EDGE_LISTEN: {
    kind: "list",
    default: "/ip4/0.0.0.0/tcp/4001",
    doc: "Multiaddrs on which libp2p listens, comma separated; with `/ip4/0.0.0.0/udp/4001/quic-v1` also QUIC.",
  },
  SMARTDASH_EDGE_BOOTSTRAP: {
    kind: "list",
    doc: "Multiaddrs of nodes that are in the DHT already, comma separated: `/ip4/192.168.1.100/tcp/4001/p2p/12D3KooW…`.",
  },
  SMARTDASH_FLEET_KEY: {
    kind: "keys",
    secret: true,
    doc: "32 bytes that the nodes of one fleet share, in any form that ENCRYPTION_KEY takes. Who has it is trusted without `smartdash peers trust`; to put a node out, change it everywhere.",
  },
} as const satisfies Readonly<Record<string, Setting>>;

/** What may be called, how often, and who is asked. */
const guardSettings = {
  SMARTDASH_LIMITS: {
    kind: "list",
    default: "agent=100/60s",
    doc: "Rate limits, comma separated: `agent` (each permission of an agent), `person`, `account`, `upstream`, `tool` (one tool of an upstream, for all) or `address`, then calls per seconds: `agent=100/60s,address=1200/60s`. So many may come at once; `agent=100/60s:20` allows 20 at once. `off` for none.",
  },
  SMARTDASH_BUDGETS: {
    kind: "list",
    default: "agent=5000/day",
    doc: "Calls that each `agent` permission or `account` may make per `minute`, `day` or `month` (UTC): `agent=5000/day,account=100000/month`. At 80 % there is an alert. `off` for none.",
  },
  SMARTDASH_CALLS_AT_ONCE: {
    kind: "count",
    default: "64",
    doc: "Calls of one agent permission that may wait for their answer at the same time.",
  },
  SMARTDASH_STREAMS_AT_ONCE: {
    kind: "count",
    default: "100",
    doc: "Event streams of one agent permission that may be open at the same time.",
  },
  SMARTDASH_BODY_MIB_AT_ONCE: {
    kind: "count",
    default: "16",
    doc: "Mebibytes of request bodies of one agent permission that may be under way at the same time: read, or kept until the MCP server has answered. 4 at least, for the longest body.",
  },
  SMARTDASH_BODY_MIB_IN_ALL: {
    kind: "count",
    default: "64",
    doc: "The same for all callers of this process together; more is answered with 503 until there is room.",
  },
  SMARTDASH_LOOPS: {
    kind: "flag",
    default: "on",
    doc: "Notice agents that go round in circles: tell them, then refuse, then stop them until a person lets them go on.",
  },
  SMARTDASH_TOOL_PINNING: {
    kind: "choice",
    choices: ["hold", "report", "off"],
    default: "hold",
    doc: "A tool that is new or has changed since an upstream's list was first seen: `hold` it back until `smartdash tools approve`, only `report` it, or `off`.",
  },
  SMARTDASH_APPROVAL: {
    kind: "choice",
    choices: ["destructive", "policy", "off"],
    default: "destructive",
    doc: "Which calls wait for a person's yes: tools that say they are `destructive` and those that a policy names, those of a `policy` alone, or none.",
  },
  ALLOWED_ORIGINS: {
    kind: "list",
    doc: "Origins of browser clients, comma separated and exact (`https://app.example.com`): they get CORS headers at MCP addresses and at the authorization server's. None by default.",
  },
} as const satisfies Record<string, Setting>;

/** What is measured, told, kept and taken over for the operator. */
const operationSettings = {
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

/** HTTPS in the binary, for whoever has no proxy in front. */
const tlsSettings = {
  TLS_CERT_FILE: {
    kind: "text",
    doc: "File with the certificate chain (PEM): the gateway speaks HTTPS itself. A new one is taken within two seconds, without ending streams.",
  },
  TLS_KEY_FILE: { kind: "text", doc: "File with the private key of that certificate (PEM)." },
  TLS_SELF_SIGNED: {
    kind: "flag",
    default: "off",
    doc: "HTTPS with a certificate of the node's own, which other nodes pin (`smartdash node show` prints its fingerprint). Not for browsers.",
  },
  TLS_MIN_VERSION: {
    kind: "choice",
    choices: ["1.2", "1.3"],
    default: "1.3",
    doc: "Lowest version of TLS.",
  },
} as const satisfies Readonly<Record<string, Setting>>;

/** Every setting of the gateway, all read from the environment. A test keeps the documents equal to this table. */
export const settings = {
  SMARTDASH_MODE: {
    kind: "choice",
    choices: ["production", "development"],
    default: "production",
    doc: "`development` may keep a self-made encryption key next to an external database.",
  },
  HOST: {
    kind: "text",
    default: "127.0.0.1",
    doc: "Address to listen on. `0.0.0.0` for every interface.",
  },
  PORT: { kind: "port", default: "8000", doc: "Port to listen on; 0 lets the system choose." },
  PUBLIC_URL: {
    kind: "url",
    doc: "How browsers and agents reach the gateway, e.g. `https://mcp.example.com`. Default: `http://localhost:PORT`, https with TLS.",
  },
  ALLOWED_HOSTS: {
    kind: "list",
    doc: "Further Host header values to answer, comma separated (a load balancer's probe, an internal name).",
  },
  ...tlsSettings,
  DATABASE_URL: {
    kind: "url",
    secret: true,
    doc: "PostgreSQL 14 or newer, as hosts print it ([parameters](#the-connection-string-database_url)), transaction-mode poolers included. Not set: the bundled PostgreSQL in SMARTDASH_HOME.",
  },
  SMARTDASH_BUNDLED_DATABASE: {
    kind: "flag",
    doc: "Whether a bundled PostgreSQL may be made where there is none and DATABASE_URL is not set. `off`: only by `smartdash migrate --bundled`. Not set: without asking, unless PUBLIC_URL is https; then `serve --migrate` and `migrate --bundled` make it. A database that was left out by mistake is not replaced by an empty one.",
  },
  DATABASE_CONNECTIONS: {
    kind: "count",
    default: "10",
    doc: "Most database connections of this process; one more listens for topics.",
  },
  SMARTDASH_HOME: {
    kind: "text",
    doc: "Folder of the bundled PostgreSQL and the key made for it. Default: `/var/lib/smartdash` for root, else the user's data folder.",
  },
  SMARTDASH_COLOUR: {
    kind: "text",
    doc: "Colour of buttons on the operator's console, as `#rrggbb`. Their text is black or white, whichever can be read.",
  },
  SMARTDASH_LOGO: {
    kind: "text",
    doc: "File with a logo for the operator's console: .svg, .png or .webp, 64 KiB at most.",
  },
  SMARTDASH_JOURNAL: {
    kind: "text",
    doc: "Folder in which a provider's answer is kept until the database has it. On a local disk that survives a restart; gateways on one machine may share it. Default: `journal` in SMARTDASH_HOME.",
  },
  ENCRYPTION_KEY: {
    kind: "keys",
    secret: true,
    doc: "32 bytes as base64, base64url, hex or a Fernet key; several separated by commas: the first seals, all open. `openssl rand -base64 32` makes one.",
  },
  SECRET_KEY: {
    kind: "keys",
    secret: true,
    doc: "One key of 32 bytes, same forms: signs form tokens and session bindings; a second one is ignored. Default: derived from ENCRYPTION_KEY.",
  },
  LOG_LEVEL: {
    kind: "choice",
    choices: ["debug", "info", "warn", "error"],
    default: "info",
    doc: "Lowest level that is logged.",
  },
  SMARTDASH_SIGNUP: {
    kind: "list",
    default: "invite",
    doc: "Which new people may come in: `invite` (with a link of `smartdash invite`), `open` (everybody), or provider accounts such as `mercadolibre:100200300,airtable:usrAbc`; invitations work beside a list.",
  },
  SMARTDASH_TOKEN_ALGORITHM: {
    kind: "choice",
    choices: ["EdDSA", "ES256"],
    default: "EdDSA",
    doc: "Signature of the access tokens that agents get.",
  },
  SMARTDASH_CLIENT_DOCUMENTS: {
    kind: "choice",
    choices: ["fetch", "bundled", "off"],
    default: "fetch",
    doc: "Clients whose id is a URL: `fetch` their metadata document (well-known ones are bundled for when that fails), take the `bundled` ones alone, or `off`. Key sets of clients that are registered here are fetched in any case.",
  },
  CLIENT_ADDRESS_HEADER: {
    kind: "text",
    doc: "Header in which the proxy in front names the client's address (`X-Real-IP`, `X-Forwarded-For`: its last entry), for limits per address. Set it only when the proxy overwrites it. Default: the connection's address.",
  },
  MELI_CLIENT_ID: { kind: "text", doc: "Mercado Libre: application id." },
  MELI_CLIENT_SECRET: { kind: "text", secret: true, doc: "Mercado Libre: application secret." },
  MELI_REDIRECT_URI: {
    kind: "url",
    doc: "Mercado Libre: redirect URI exactly as registered. Default: PUBLIC_URL + `/auth/callback`.",
  },
  MELI_SITE: {
    kind: "text",
    default: "MLA",
    doc: "Mercado Libre: country site when a link names none (MLA, MLB, MLM, MLC, …).",
  },
  MELI_REQUESTS_PER_MINUTE: {
    kind: "count",
    default: "1500",
    doc: "Mercado Libre: requests a minute that this process sends to each family of its API (listings, orders, …) for `mercadolibre-shop`, shared fairly between accounts. Messages and stock have documented limits of their own.",
  },
  MELI_SHOP_PROFILE: {
    kind: "choice",
    default: "read",
    choices: ["read", "sell"],
    doc: "Mercado Libre: what agents may do at the upstream `mercadolibre-shop`: only `read`, or also `sell` (answer, write, change prices and stock; a person allows each change).",
  },
  MELI_PKCE: {
    kind: "flag",
    default: "on",
    doc: "Mercado Libre: `on` when the application has PKCE ticked in DevCenter, else `off`.",
  },
  MERCADOPAGO_CLIENT_ID: { kind: "text", doc: "Mercado Pago: application id." },
  MERCADOPAGO_CLIENT_SECRET: {
    kind: "text",
    secret: true,
    doc: "Mercado Pago: application secret.",
  },
  MERCADOPAGO_REDIRECT_URI: {
    kind: "url",
    doc: "Mercado Pago: redirect URI exactly as registered. Default: PUBLIC_URL + `/auth/callback`.",
  },
  MERCADOPAGO_PKCE: {
    kind: "flag",
    default: "on",
    doc: "Mercado Pago: `on` when the application has PKCE ticked.",
  },
  AIRTABLE_CLIENT_ID: { kind: "text", doc: "Airtable: OAuth integration's client id." },
  AIRTABLE_CLIENT_SECRET: {
    kind: "text",
    secret: true,
    doc: "Airtable: client secret, if the integration has one.",
  },
  AIRTABLE_REDIRECT_URI: {
    kind: "url",
    doc: "Airtable: redirect URI exactly as registered. Default: PUBLIC_URL + `/auth/callback`.",
  },
  AIRTABLE_SCOPES: {
    kind: "text",
    default: "data.records:read data.records:write schema.bases:read",
    doc: "Airtable: scopes to ask for, separated by spaces; each must be enabled on the integration.",
  },
  SUPABASE_CLIENT_ID: { kind: "text", doc: "Supabase: OAuth application's client id." },
  SUPABASE_CLIENT_SECRET: {
    kind: "text",
    secret: true,
    doc: "Supabase: OAuth application's client secret.",
  },
  SUPABASE_REDIRECT_URI: {
    kind: "url",
    doc: "Supabase: redirect URI exactly as registered. Default: PUBLIC_URL + `/auth/callback`.",
  },
  SUPABASE_PROJECT_REF: {
    kind: "text",
    doc: "Supabase upstream: `project_ref` that agents are confined to.",
  },
  SUPABASE_READ_ONLY: { kind: "flag", default: "on", doc: "Supabase upstream: `read_only=true`." },
  SUPABASE_FEATURES: { kind: "text", doc: "Supabase upstream: comma separated feature groups." },
  SMARTDASH_PROVIDERS: {
    kind: "json",
    secret: true,
    doc: "JSON, or the path of a JSON file: own OAuth providers, and overrides of the built-in ones, by name.",
  },
  SMARTDASH_UPSTREAMS: {
    kind: "json",
    secret: true,
    doc: "JSON, or the path of a JSON file: own MCP servers, and overrides of the built-in ones, by name.",
  },
  SMARTDASH_DEFAULT_UPSTREAM: {
    kind: "text",
    doc: "Which upstream `/mcp` means. Default: the only one that is configured, else `mercadolibre`.",
  },
  PROVIDER_TIMEOUT_MS: {
    kind: "milliseconds",
    default: "20000",
    doc: "Longest wait for an answer of a provider's token or identity endpoint.",
  },
  UPSTREAM_CONNECT_TIMEOUT_MS: {
    kind: "milliseconds",
    default: "5000",
    doc: "Longest wait for a connection to an MCP server that has not answered lately.",
  },
  UPSTREAM_FIRST_BYTE_TIMEOUT_MS: {
    kind: "milliseconds",
    default: "120000",
    doc: "Longest wait for the first byte of an MCP server's answer. GET streams are exempt.",
  },
  UPSTREAM_TOTAL_TIMEOUT_MS: {
    kind: "milliseconds",
    default: "300000",
    doc: "Longest time for a whole JSON answer. Event streams have no limit.",
  },
  STREAM_KEEPALIVE_MS: {
    kind: "milliseconds",
    default: "15000",
    doc: "Silence after which a comment is sent on an open event stream.",
  },
  DRAIN_MS: {
    kind: "milliseconds",
    default: "10000",
    doc: "On SIGTERM: how long running calls may finish before they are cut.",
  },
  ...guardSettings,
  ...edgeSettings,
  ...operationSettings,
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
