/** What a browser lets the pages of declared origins do (Fetch standard, CORS protocol). Never with cookies. */
export type Cors = {
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
