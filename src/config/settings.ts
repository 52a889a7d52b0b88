import { edgeSettings } from "./edge-settings.ts";
import { guardSettings } from "./guard-settings.ts";
import { operationSettings } from "./operation-settings.ts";
import type { Setting } from "./setting.ts";
import { tlsSettings } from "./tls-settings.ts";

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
    doc: "Most database connections of this process; one more listens for endings.",
  },
  SMARTDASH_HOME: {
    kind: "text",
    doc: "Folder of the bundled PostgreSQL and the key made for it. Default: `/var/lib/smartdash` for root, else the user's data folder.",
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
