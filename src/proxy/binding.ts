import type { Caller } from "#src/oauth-server/caller.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { fromBase64url, isSame, tagOf } from "#src/crypto/secret.ts";
import { placeOf } from "#src/http/reason.ts";
import { Failure } from "#src/failure.ts";

/** What a value is for; bound for one purpose it is worthless for the other. */
type Purpose = "session" | "endpoint";
type Owner = { readonly caller: Caller; readonly upstream: Upstream };
type Bound = Owner & { readonly purpose: Purpose };
type Deps = Pick<App, "bindingKey">;

/** The name of the query parameter that carries a 2024-11-05 message endpoint. */
export const endpointParameter = "sd";

const tagLength = 22;
/** So long a header comes back to us through whatever stands in between. */
const mostCharacters = 8192;

/**
 * An upstream's value (a session id, a message endpoint) as its owner sees it: with a tag of 132 bits that
 * only this gateway can make and that fits this person, account and upstream alone. Nothing is stored, so
 * every replica can check it. Failures: `upstream_invalid` for one that could not come back.
 */
export function bind(app: Deps, owner: Bound, value: string): string {
  const bound = `${value}.${tagFor(app, owner, value)}`;
  if (bound.length <= mostCharacters) return bound;
  const what = owner.purpose === "session" ? "session id" : "message endpoint";
  const most = mostCharacters - tagLength - 1;
  const message = `The MCP server's ${what} is longer than ${most} characters.`;
  throw new Failure("upstream_invalid", message, { reason: `a ${what} beyond the limit` });
}

/** The upstream's own value. Failures: `mcp_session_unknown` for anybody but its owner. */
export function unbind(app: Deps, owner: Bound, bound: string): string {
  const value = bound.slice(0, -tagLength - 1);
  if (bound.length > mostCharacters || !isSame(bound, `${value}.${tagFor(app, owner, value)}`)) {
    throw new Failure("mcp_session_unknown");
  }
  return value;
}

function tagFor(app: Deps, { caller, upstream, purpose }: Bound, value: string): string {
  const owner = `${caller.personId ?? caller.id} ${caller.accountId ?? "-"} ${upstream.name}`;
  return tagOf(app.bindingKey, `mcp ${purpose} ${owner} ${value}`).slice(0, tagLength);
}

/** The message endpoint that an upstream gave this caller. Failures: `mcp_session_unknown`. */
export function endpointOf(app: Deps, request: Request, owner: Owner): string {
  const bound = new URL(request.url).searchParams.get(endpointParameter) ?? "";
  const value = unbind(app, { ...owner, purpose: "endpoint" }, bound);
  const path = (fromBase64url(value) ?? "").toString();
  const { origin } = new URL(owner.upstream.url);
  if (!path.startsWith("/") || new URL(origin + path).origin !== origin) {
    throw new Failure("mcp_session_unknown");
  }
  return origin + path;
}

/** Turns the upstream's message endpoint into one of ours. Failures: `upstream_invalid`. */
export function endpointRewriter(app: Deps, request: Request, owner: Owner) {
  return (endpoint: string): string => {
    const { origin } = new URL(owner.upstream.url);
    // The credential goes there: another origin is not the upstream we were told of.
    const target = URL.canParse(endpoint, origin)
      ? new URL(endpoint, owner.upstream.url)
      : undefined;
    if (target?.origin !== origin) {
      const reason = `its message endpoint is elsewhere: ${placeOf(endpoint, origin)}`;
      throw new Failure("upstream_invalid", undefined, { reason });
    }
    const path = Buffer.from(target.pathname + target.search).toString("base64url");
    return `${new URL(request.url).pathname}?${endpointParameter}=${bind(app, { ...owner, purpose: "endpoint" }, path)}`;
  };
}
