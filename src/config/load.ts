import { type Brand, brandFrom } from "./brand.ts";
import { type GivenSetting, givenSettings } from "./given.ts";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { Level } from "#src/telemetry/log.ts";
import { type EdgeConfig, edgeFrom } from "./edge.ts";
import { oneOf, type GuardsConfig, guardsFrom } from "./guards.ts";
import { type Environment, type Problem, type Reader, createReader } from "./read.ts";
import { type OperationsConfig, operationsFrom } from "./operations.ts";
import { type TlsConfig, tlsFrom } from "./tls.ts";
import { type RegistrationSettings, registrationsFrom } from "./registrations.ts";
import { misspelt } from "./unknown-names.ts";

export type TokenAlgorithm = "EdDSA" | "ES256";
export type ClientDocuments = "fetch" | "bundled" | "off";

export type Config = OperationsConfig & {
  readonly guards: GuardsConfig;
  readonly isProduction: boolean;
  readonly host: string;
  readonly port: number;
  /** Origin without a trailing slash; undefined until the port is known. */
  readonly publicUrl: string | undefined;
  readonly allowedHosts: readonly string[];
  readonly databaseUrl: Secret | undefined;
  /** A bundled database may be made although the gateway is public. */
  /** Whether a bundled database may be made where there is none; undefined: nothing was said. */
  readonly mayMakeDatabase: boolean | undefined;
  readonly databaseConnections: number;
  readonly home: string;
  /** Folder of the journal. */
  readonly journal: string;
  readonly encryptionKeys: readonly Uint8Array[];
  readonly secretKey: Uint8Array | undefined;
  readonly logLevel: Level;
  /** `invite`, `open`, or the provider accounts (`provider:seller`) that may come in. */
  readonly signUp: "invite" | "open" | ReadonlySet<string>;
  readonly tokenAlgorithm: TokenAlgorithm;
  readonly clientDocuments: ClientDocuments;
  /** Lower case. */
  readonly clientAddressHeader: string | undefined;
  readonly registrations: Readonly<Record<string, RegistrationSettings>>;
  readonly providers: Readonly<Record<string, unknown>>;
  readonly upstreams: Readonly<Record<string, unknown>>;
  readonly defaultUpstream: string;
  readonly supabase: {
    readonly projectRef?: string;
    readonly readOnly: boolean;
    readonly features?: string;
  };
  readonly edge: EdgeConfig;
  /** What agents may do at `mercadolibre-shop`. */
  readonly shopProfile: "read" | "sell";
  readonly shopRequestsPerMinute: number;
  readonly tls: TlsConfig | undefined;
  readonly providerTimeoutMs: number;
  readonly upstreamLimits: {
    readonly connectMs: number;
    readonly firstByteMs: number;
    readonly totalMs: number;
    readonly keepAliveMs: number;
  };
  readonly drainMs: number;
  readonly brand: Brand;
  /** What this process was given, without what could be a secret. */
  readonly given: readonly GivenSetting[];
  /** HTTP(S)_PROXY is set: connections to upstreams are the proxy's to make. */
  readonly usesProxy: boolean;
};

/** Reads every setting. Returns the problems beside the configuration, so that others can add theirs. */
export function loadConfig(environment: Environment): { config: Config; problems: Problem[] } {
  const read = createReader(environment);
  const config = configFrom(read, environment);
  const isGiven = (name: string) => (environment[name] ?? "").trim() !== "";
  if (isGiven("DATABASE_URL") && !isGiven("ENCRYPTION_KEY") && config.isProduction) {
    read.problems.push({
      setting: "ENCRYPTION_KEY",
      message: "is required with DATABASE_URL; make one with: openssl rand -base64 32",
    });
  }
  if (config.tls !== undefined && config.publicUrl?.startsWith("http:") === true) {
    const message = "must be https: the gateway speaks TLS (TLS_CERT_FILE, TLS_SELF_SIGNED)";
    read.problems.push({ setting: "PUBLIC_URL", message });
  }
  return { config, problems: read.problems };
}

/** How the gateway is reached: PUBLIC_URL, else this machine. Origin without a trailing slash. */
export function originAt(
  config: Pick<Config, "publicUrl" | "tls" | "port">,
  port = config.port,
): string {
  return config.publicUrl ?? `${config.tls === undefined ? "http" : "https"}://localhost:${port}`;
}

/** The running gateway as this machine reaches it, and how it is asked: whatever certificate it shows, it is here. */
export function localGateway({ tls, port }: Pick<Config, "tls" | "port">) {
  const isTls = tls !== undefined;
  return {
    address: `${isTls ? "https" : "http"}://127.0.0.1:${port}`,
    init: isTls ? { tls: { rejectUnauthorized: false } } : {},
  };
}

/** How PUBLIC_URL is asked: no authority vouches for a certificate that the node has made itself. */
export function publicInit({ tls }: Pick<Config, "tls">): object {
  return tls?.kind === "self-signed" ? { tls: { rejectUnauthorized: false } } : {};
}

/** Failures: `settings_invalid`, with every problem in its message, and names that may be misspelt. */
export function refuse(problems: readonly Problem[], environment: Environment = {}): void {
  if (problems.length === 0) return;
  const lines = [
    ...problems.map((problem) => `  ${problem.setting} ${problem.message}`),
    ...misspelt(environment).map((each) => `  ${each}`),
  ];
  throw new Failure("settings_invalid", `These settings need attention:\n${lines.join("\n")}`, {
    hint: "Every setting is explained in docs/settings.md.",
  });
}

function configFrom(read: Reader, environment: Environment): Config {
  const publicUrl = read.url("PUBLIC_URL");
  const databaseUrl = read.url("DATABASE_URL");
  const [secretKey] = read.keys("SECRET_KEY");
  const projectRef = read.text("SUPABASE_PROJECT_REF");
  const features = read.text("SUPABASE_FEATURES");
  return {
    isProduction: read.text("SMARTDASH_MODE") === "production",
    host: read.text("HOST") ?? "",
    port: read.number("PORT"),
    publicUrl: publicUrl === undefined ? undefined : originOf(publicUrl, read.problems),
    allowedHosts: read.list("ALLOWED_HOSTS").map((host) => host.toLowerCase()),
    databaseUrl: databaseUrl === undefined ? undefined : read.secret("DATABASE_URL"),
    mayMakeDatabase:
      read.text("SMARTDASH_BUNDLED_DATABASE") === undefined
        ? undefined
        : read.flag("SMARTDASH_BUNDLED_DATABASE"),
    databaseConnections: read.number("DATABASE_CONNECTIONS"),
    ...foldersFrom(read, environment),
    ...operationsFrom(read),
    guards: guardsFrom(read),
    edge: edgeFrom(read),
    tls: tlsFrom(read),
    encryptionKeys: read.keys("ENCRYPTION_KEY"),
    secretKey,
    logLevel: readLevel(read.text("LOG_LEVEL")),
    signUp: signUpFrom(read),
    tokenAlgorithm: read.text("SMARTDASH_TOKEN_ALGORITHM") === "ES256" ? "ES256" : "EdDSA",
    clientDocuments: documentsFrom(read.text("SMARTDASH_CLIENT_DOCUMENTS")),
    clientAddressHeader: read.header("CLIENT_ADDRESS_HEADER"),
    registrations: registrationsFrom(read),
    providers: read.json("SMARTDASH_PROVIDERS"),
    upstreams: read.json("SMARTDASH_UPSTREAMS"),
    defaultUpstream: read.text("SMARTDASH_DEFAULT_UPSTREAM") ?? "",
    supabase: {
      readOnly: read.flag("SUPABASE_READ_ONLY"),
      ...(projectRef === undefined ? {} : { projectRef }),
      ...(features === undefined ? {} : { features }),
    },
    shopRequestsPerMinute: read.number("MELI_REQUESTS_PER_MINUTE"),
    shopProfile: oneOf(["read", "sell"], read.text("MELI_SHOP_PROFILE")),
    providerTimeoutMs: read.number("PROVIDER_TIMEOUT_MS"),
    upstreamLimits: {
      connectMs: read.number("UPSTREAM_CONNECT_TIMEOUT_MS"),
      firstByteMs: read.number("UPSTREAM_FIRST_BYTE_TIMEOUT_MS"),
      totalMs: read.number("UPSTREAM_TOTAL_TIMEOUT_MS"),
      keepAliveMs: read.number("STREAM_KEEPALIVE_MS"),
    },
    drainMs: read.number("DRAIN_MS"),
    brand: brandFrom(read),
    given: givenSettings(environment),
    usesProxy: Object.entries(environment).some(
      ([name, value]) => /^https?_proxy$/i.test(name) && (value ?? "") !== "",
    ),
  };
}

function foldersFrom(read: Reader, environment: Environment): Pick<Config, "home" | "journal"> {
  const home = resolve(read.text("SMARTDASH_HOME") ?? defaultHome(environment));
  return { home, journal: resolve(read.text("SMARTDASH_JOURNAL") ?? join(home, "journal")) };
}

function signUpFrom(read: Reader): Config["signUp"] {
  const given = read.list("SMARTDASH_SIGNUP");
  const [only] = given;
  if (given.length === 1 && (only === "invite" || only === "open")) return only;
  if (!given.every((each) => /^[\w-]+:\S+$/.test(each))) {
    const message = "must be invite, open, or accounts such as mercadolibre:100200300";
    read.problems.push({ setting: "SMARTDASH_SIGNUP", message });
  }
  return new Set(given);
}

function documentsFrom(text: string | undefined): ClientDocuments {
  return text === "bundled" || text === "off" ? text : "fetch";
}

function originOf(text: string, problems: Problem[]): string {
  const url = new URL(text);
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "") {
    problems.push({
      setting: "PUBLIC_URL",
      message: "must be an origin alone, such as https://mcp.example.com",
    });
  }
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !isLoopback) {
    problems.push({ setting: "PUBLIC_URL", message: "must be https (http is for loopback only)" });
  }
  return url.origin;
}

function readLevel(text: string | undefined): Level {
  return text === "debug" || text === "warn" || text === "error" ? text : "info";
}

function defaultHome(environment: Environment): string {
  if (process.getuid?.() === 0) return "/var/lib/smartdash";
  if (process.platform === "darwin") {
    return join(homedir(), "Library", "Application Support", "smartdash");
  }
  return join(environment["XDG_DATA_HOME"] ?? join(homedir(), ".local", "share"), "smartdash");
}
