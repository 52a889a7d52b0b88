import { Failure } from "#src/failure.ts";

/** Which Host and Origin values are ours. */
type OriginCheck = {
  /**
   * `isDeclared`: the request is from a page that may ask this address (see `createCors`).
   * Failures: `host_refused`, `origin_refused`.
   */
  check(request: Request, isDeclared: boolean): void;
};

type OriginCheckOptions = {
  readonly publicUrl: string;
  readonly allowedHosts: readonly string[];
  /** The port we listen on: loopback names with it are ours too. */
  readonly port: number;
};

/**
 * A host as a list of them has it: in lower case, without the dot at the end of a full name, and without the port that
 * goes without saying (RFC 9110 section 4.2.3, RFC 3986 section 6.2.3).
 */
export function plainHost(host: string, protocol: string): string {
  const defaultPort = protocol === "https:" ? ":443" : ":80";
  const [, name, port = ""] = /^([^:]*|\[[^\]]*\])(:\d{1,5})?$/.exec(host.toLowerCase()) ?? [];
  if (name === undefined) return host;
  return name.replace(/\.$/, "") + (port === defaultPort ? "" : port);
}

/** Exact comparison with a fixed list, before anything else is looked at (DNS rebinding, CSRF). */
export function createOriginCheck(options: OriginCheckOptions): OriginCheck {
  const { protocol, host: publicHost } = new URL(options.publicUrl);
  const loopback = ["localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${options.port}`);
  const allowed = [publicHost, ...options.allowedHosts];
  const hosts = new Set([...loopback, ...allowed.map((host) => plainHost(host, protocol))]);
  const origins = new Set([options.publicUrl, ...loopback.map((host) => `http://${host}`)]);
  return {
    check(request, isDeclared) {
      const host = request.headers.get("host");
      if (host === null || !(hosts.has(host) || hosts.has(plainHost(host, protocol)))) {
        throw new Failure("host_refused", undefined, {
          hint: "PUBLIC_URL and ALLOWED_HOSTS say which names are answered; a proxy has to hand the Host on.",
        });
      }
      const origin = request.headers.get("origin");
      const isOurs = origin === null || origins.has(origin) || isOwnForm(request, origin);
      if (!isOurs && !isDeclared) {
        throw new Failure("origin_refused");
      }
    },
  };
}

/** A page of ours without a referrer posts with `Origin: null`; only the browser itself can say where from. */
function isOwnForm(request: Request, origin: string): boolean {
  return origin === "null" && request.headers.get("sec-fetch-site") === "same-origin";
}

/** What a browser lets the pages of declared origins do (Fetch standard, CORS protocol). Never with cookies. */
type Cors = {
  /** Whether this request comes from a page of a declared origin. */
  isDeclared(request: Request): boolean;
  /** The answer to a preflight; undefined when the request is none. */
  preflight(request: Request): Response | undefined;
  /** Lets the page read the answer. */
  opened(request: Request, answer: Response): Response;
};

const methods = "GET, POST, DELETE";
const allowed = [
  "accept",
  "authorization",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "traceparent",
  "tracestate",
] as const;
const exposed = [
  "mcp-protocol-version",
  "mcp-session-id",
  "ratelimit-limit",
  "ratelimit-policy",
  "ratelimit-remaining",
  "ratelimit-reset",
  "retry-after",
  "www-authenticate",
  "x-request-id",
].join(", ");
const mostParameters = 50;
const maxAgeSeconds = "600";

/** Origins are compared letter by letter. */
export function createCors(origins: readonly string[]): Cors {
  const declared = new Set(origins);
  const isDeclared = ({ headers }: Request) => {
    const origin = declared.size === 0 ? null : headers.get("origin");
    return origin !== null && declared.has(origin);
  };
  return {
    isDeclared,
    preflight(request) {
      const { headers } = request;
      const isPreflight =
        request.method === "OPTIONS" && headers.has("access-control-request-method");
      if (!isPreflight || !isDeclared(request)) return undefined;
      return new Response(null, {
        status: 204,
        headers: {
          "access-control-allow-origin": headers.get("origin") ?? "",
          "access-control-allow-methods": methods,
          "access-control-allow-headers": allowedFor(headers.get("access-control-request-headers")),
          "access-control-max-age": maxAgeSeconds,
          vary: "origin, access-control-request-headers",
        },
      });
    },
    opened(request, answer) {
      answer.headers.set("access-control-allow-origin", request.headers.get("origin") ?? "");
      answer.headers.set("access-control-expose-headers", exposed);
      answer.headers.append("vary", "origin");
      return answer;
    },
  };
}

/** Tools name the rest: `Mcp-Param-…` (MCP 2026-07-28). */
function allowedFor(requested: string | null): string {
  const parameters = (requested ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => /^mcp-param-[a-z0-9-]{1,64}$/.test(name));
  return [...allowed, ...parameters.slice(0, mostParameters)].join(", ");
}
