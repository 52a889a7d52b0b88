import { readFileSync } from "node:fs";

/** Where a database is and how it is spoken to, as a connection string says it. */
export type DatabaseAddress = {
  /** Tried in turn; none where a unix socket is meant. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly socket: { readonly folder: string; readonly port: number } | undefined;
  readonly database: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: TlsWish;
  readonly connectSeconds: number | undefined;
  /** Which of several hosts will do; undefined: any. */
  readonly sessionAttributes: SessionAttributes | undefined;
  /** Settings of a session, sent when it begins. */
  readonly session: { readonly application_name: string } & Readonly<Record<string, string>>;
};

/** libpq's modes; `files`: paths of PEM files. */
type TlsWish = {
  readonly mode: TlsMode;
  readonly files: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly leastVersion: "TLSv1.2" | "TLSv1.3" | undefined;
};

const tlsModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
type TlsMode = (typeof tlsModes)[number];

const attributes = [
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
  "prefer-standby",
] as const;
type SessionAttributes = Exclude<(typeof attributes)[number], "any">;

/** What is wrong with a connection string; names a parameter, never a value that could be secret. */
export class AddressProblem extends Error {}

const usualPort = 5432;

/** What other clients read of a connection string, and changes nothing for us. */
const passedOver = new Set(
  "pgbouncer connection_limit pool_timeout pool_max_conns statement_cache_size prepared_statements socket_timeout max_idle_connection_lifetime load_balance_hosts keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout client_encoding fallback_application_name sslcompression sslsni supa workaround".split(
    " ",
  ),
);
const known =
  "host port dbname user password sslmode ssl sslrootcert sslcert sslkey sslnegotiation ssl_min_protocol_version channel_binding gssencmode application_name connect_timeout options schema target_session_attrs".split(
    " ",
  );

/**
 * Reads a connection string (PostgreSQL manual, 34.1.1.2) as hosts print it: several hosts, percent-encoding, libpq's
 * parameters. Those about TLS are obeyed or refused; those that are meant for other clients are passed over by name.
 * Throws `AddressProblem`.
 */
export function readAddress(text: string): DatabaseAddress {
  if (!/^postgres(ql)?:\/\//i.test(text)) {
    throw new AddressProblem("must begin with postgres: or postgresql:");
  }
  const parts = /^\w+:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text);
  if (parts === null) {
    throw new AddressProblem(
      "cannot be read: in user and password, @ / # and ? are %40 %2F %23 and %3F",
    );
  }
  const [, authority = "", path = "", query = ""] = parts;
  // Behind a / or ? of a password the host would be a part of it.
  if (path.includes("@") || query.includes("@")) {
    throw new AddressProblem(
      "cannot be read: in user and password, @ / # and ? are %40 %2F %23 and %3F",
    );
  }
  const parameters = parametersIn(query);
  const place = placeIn(authority, parameters);
  return {
    ...place,
    ...loginIn(authority, parameters),
    database: parameters.get("dbname") ?? decoded(path),
    tls: tlsWish(parameters, isNear(place.hosts)),
    connectSeconds: secondsIn(parameters.get("connect_timeout")),
    sessionAttributes: attributesIn(parameters.get("target_session_attrs"), place.hosts.length > 1),
    session: sessionOf(parameters),
  };
}

type Parameters = ReadonlyMap<string, string>;

function placeIn(authority: string, parameters: Parameters) {
  const named = parameters.get("host") ?? decoded(authority.slice(authority.lastIndexOf("@") + 1));
  const port = parameters.get("port");
  if (!named.startsWith("/")) return { socket: undefined, hosts: hostsIn(named, port) };
  const [, folder = named, own] = /^(.*?):(\d*)$/.exec(named) ?? [];
  return { socket: { folder, port: portIn(own, port) }, hosts: [] };
}

function loginIn(authority: string, parameters: Parameters) {
  const login = authority.slice(0, Math.max(authority.lastIndexOf("@"), 0));
  const [user = "", password = ""] = login.split(/:(.*)/s);
  return {
    user: nonEmpty(parameters.get("user") ?? decoded(user)),
    password: nonEmpty(parameters.get("password") ?? decoded(password)),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AddressProblem("has a % that is not followed by two hex digits: write %25");
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function parametersIn(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split("&").filter((each) => each !== "")) {
    const [name = "", value = ""] = pair.split(/=(.*)/s);
    const key = decoded(name);
    if (passedOver.has(key)) continue;
    if (!known.includes(key)) {
      const shown = /^[\w.-]{1,40}$/.test(key) ? key : "whose name cannot be shown";
      throw new AddressProblem(
        `has a parameter that is not known: ${shown}. Take it out; settings of PostgreSQL go into options=-c%20NAME%3DVALUE`,
      );
    }
    if (parameters.has(key)) throw new AddressProblem(`says ${key} twice`);
    parameters.set(key, decoded(value));
  }
  return parameters;
}

function hostsIn(text: string, port: string | undefined): DatabaseAddress["hosts"] {
  const ports = (port ?? "").split(",");
  return text.split(",").map((each, index) => hostIn(each, ports[index] ?? ports[0]));
}

const hostAndPort = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]@/\s]*))(?::(\d*))?$/;

function hostIn(text: string, otherPort: string | undefined) {
  const found = hostAndPort.exec(text);
  if (found === null) throw new AddressProblem("has a host or port that cannot be read");
  const [, bracketed, plain, own] = found;
  return { host: bracketed ?? nonEmpty(plain) ?? "localhost", port: portIn(own, otherPort) };
}

function portIn(own: string | undefined, other: string | undefined): number {
  const port = Number(nonEmpty(own) ?? nonEmpty(other) ?? usualPort);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new AddressProblem("has a port that is none");
  }
  return port;
}

/** On this machine, where nobody listens in between. */
export function isNear(hosts: DatabaseAddress["hosts"]): boolean {
  return hosts.every(({ host }) => /^(localhost|127(?:\.\d+){3}|::1)$/i.test(host));
}

function tlsWish(parameters: Parameters, isNearby: boolean): TlsWish {
  refuseOtherTls(parameters);
  // As node-postgres: it does not look, also where it is told of an authority.
  const isBlind = parameters.get("sslmode") === "no-verify";
  const root = isBlind ? undefined : parameters.get("sslrootcert");
  const said = tlsMode(parameters, isNearby);
  // As libpq: `system` is for whoever verifies, and a file makes `require` verify.
  const isVerified = root === "system" || parameters.get("channel_binding") === "require";
  if (isBlind && isVerified)
    throw new AddressProblem("channel_binding=require contradicts sslmode=no-verify");
  const mode = isVerified
    ? "verify-full"
    : said === "require" && root !== undefined
      ? "verify-ca"
      : said;
  const leastVersion = leastVersionIn(parameters.get("ssl_min_protocol_version"));
  refuseUnmet(mode, [
    ["sslrootcert", root !== undefined],
    ["sslcert", parameters.has("sslcert")],
    ["ssl_min_protocol_version", leastVersion === "TLSv1.3"],
  ]);
  const file = (name: string, path: string | undefined) => {
    if (path === undefined) return {};
    return { [name]: path };
  };
  return {
    mode,
    files: {
      ...(root === "system" ? {} : file("ca", root)),
      ...file("cert", parameters.get("sslcert")),
      ...file("key", parameters.get("sslkey")),
    },
    leastVersion,
  };
}

/** Where TLS may be left out, a wish about it would be passed over. */
function refuseUnmet(mode: TlsMode, wishes: readonly (readonly [string, boolean])[]): void {
  if (mode !== "disable" && mode !== "allow" && mode !== "prefer") return;
  const unmet = wishes.find(([, isWished]) => isWished);
  if (unmet === undefined) return;
  throw new AddressProblem(
    `${unmet[0]} needs sslmode=require, verify-ca or verify-full: with ${mode} there may be no TLS`,
  );
}

/** `ssl=true` is how JDBC and others say it; `no-verify` how node-postgres does. */
function tlsMode(parameters: Parameters, isNearby: boolean): TlsMode {
  const said = parameters.get("sslmode");
  const flag = parameters.get("ssl");
  if (said === undefined && flag === undefined) return isNearby ? "disable" : "prefer";
  if (said === "no-verify") return "require";
  const word =
    said ?? { true: "require", "1": "require", false: "disable", "0": "disable" }[flag ?? ""];
  const mode = tlsModes.find((each) => each === word);
  if (mode !== undefined) return mode;
  throw new AddressProblem(
    said === undefined
      ? "ssl must be true or false"
      : `sslmode must be one of ${tlsModes.join(", ")}`,
  );
}

function refuseOtherTls(parameters: Parameters): void {
  const [flag, mode] = [parameters.get("ssl"), parameters.get("sslmode")];
  const isOn = flag === "true" || flag === "1";
  if (flag !== undefined && mode !== undefined && isOn === (mode === "disable")) {
    throw new AddressProblem("ssl and sslmode contradict each other");
  }
  const allowed: Readonly<Record<string, readonly string[]>> = {
    channel_binding: ["disable", "prefer", "require"],
    sslnegotiation: ["postgres"],
    gssencmode: ["disable", "prefer"],
  };
  for (const [name, words] of Object.entries(allowed)) {
    const value = parameters.get(name);
    if (value === undefined || words.includes(value)) continue;
    throw new AddressProblem(`${name} can only be ${words.join(", ")} here`);
  }
  if (parameters.has("sslcert") !== parameters.has("sslkey")) {
    throw new AddressProblem("sslcert and sslkey go together");
  }
}

function leastVersionIn(value: string | undefined): TlsWish["leastVersion"] {
  if (value === undefined || value === "TLSv1" || value === "TLSv1.1") return undefined;
  if (value === "TLSv1.2" || value === "TLSv1.3") return value;
  throw new AddressProblem("ssl_min_protocol_version must be TLSv1.2 or TLSv1.3");
}

const mostSeconds = 60;

function secondsIn(value: string | undefined): number | undefined {
  if (value === undefined || value === "0") return undefined;
  if (!/^\d{1,6}$/.test(value)) throw new AddressProblem("connect_timeout must be whole seconds");
  return Math.min(Number(value), mostSeconds);
}

/** Of several hosts one that only reads is no use, unless that is what was asked for. */
function attributesIn(
  value: string | undefined,
  isSeveral: boolean,
): SessionAttributes | undefined {
  if (value === undefined) return isSeveral ? "read-write" : undefined;
  const found = attributes.find((each) => each === value);
  if (found === undefined) {
    throw new AddressProblem(`target_session_attrs must be one of ${attributes.join(", ")}`);
  }
  return found === "any" ? undefined : found;
}

function sessionOf(parameters: Parameters): DatabaseAddress["session"] {
  const [options, schema] = [parameters.get("options"), parameters.get("schema")];
  return {
    application_name: parameters.get("application_name") ?? "smartdash",
    ...(options === undefined ? {} : { options }),
    // Behind some poolers a session may not begin with one; the usual one needs no word.
    ...(schema === undefined || schema === "public" ? {} : { search_path: schema }),
  };
}

/** What `tls.connect` is given; a word of postgres.js where nothing is verified. Throws `AddressProblem` for a file that cannot be read. */
export function tlsOptions({ mode, files, leastVersion }: TlsWish) {
  if (mode === "disable") return false;
  if (mode === "allow" || mode === "prefer") return "prefer" as const;
  const read = Object.fromEntries(
    Object.entries(files).map(([name, path]) => [name, fileAt(name, path)]),
  );
  return {
    ...read,
    ...(leastVersion === undefined ? {} : { minVersion: leastVersion }),
    rejectUnauthorized: mode.startsWith("verify"),
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
  };
}

function fileAt(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    const parameter = { ca: "sslrootcert", cert: "sslcert", key: "sslkey" }[name] ?? name;
    throw new AddressProblem(`${parameter} names a file that cannot be read`);
  }
}
