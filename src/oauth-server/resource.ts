import type { App } from "#src/app.ts";
import { mcpPaths } from "#src/upstreams/mcp-paths.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure } from "#src/failure.ts";
import { isCanonicalUrl } from "#src/http/public-url.ts";
import { plainHost } from "#src/http/origin.ts";
import { isLoopbackName } from "#src/http/address.ts";

/** An MCP address as clients name it (RFC 8707), with the upstream behind it. */
export type Resource = { readonly url: string; readonly upstream: Upstream };

type Named = Pick<App, "publicUrl" | "config">;
export type Addressed = Named & Pick<App, "catalog">;

/**
 * What a token request's `resource` means; the default upstream when there is none.
 * Failures: `invalid_target` when it is unknown or there are two.
 */
export function resourceOf(app: Addressed, asked: readonly string[]): Resource {
  const [first, second] = asked.filter((each) => each !== "");
  if (second !== undefined) {
    throw new Failure("invalid_target", "Only one resource can be asked for at a time");
  }
  if (first === undefined) return resourceOfUpstream(app, app.catalog.defaultUpstream, "/mcp");
  const found = knownResource(app, first);
  if (found === undefined) {
    throw new Failure("invalid_target", "The resource is not an MCP address of this gateway");
  }
  return found;
}

/** Failures: `invalid_target` when there is no such upstream any more. */
export function resourceOfUpstream(app: Addressed, name: string, path = `/mcp/${name}`): Resource {
  const upstream = app.catalog.upstreams.get(name);
  if (upstream === undefined) throw new Failure("invalid_target");
  return { url: `${app.publicUrl}${path}`, upstream };
}

/**
 * The upstream that an address leads to, under any name of ours. Upper-case schemes and hosts, the port of the scheme and a slash at the end are forgiven.
 */
export function knownResource(app: Addressed, text: string): Resource | undefined {
  const written = usualOrigin(text);
  if (!isCanonicalUrl(written) || text.includes("#")) return undefined;
  const url = new URL(written);
  const isPlain = url.search === "" && url.username === "" && url.password === "";
  if (!isPlain || !isOwnOrigin(app, url)) return undefined;
  const upstream = mcpPaths(app.catalog).get(url.pathname.replace(/\/$/, ""));
  return upstream === undefined ? undefined : { url: `${url.origin}${url.pathname}`, upstream };
}

/** In lower case, and without the port that the scheme has anyhow: that much is forgiven. */
function usualOrigin(text: string): string {
  return text.replace(/^[a-z]+:\/\/[^/?#]*/i, (origin) => {
    const lower = origin.toLowerCase();
    return lower.replace(lower.startsWith("https:") ? /:443$/ : /:80$/, "");
  });
}

/** Whether two addresses mean one resource: a slash at the end is forgiven. */
export function isSameResource(left: string, right: string): boolean {
  return left.replace(/\/$/, "") === right.replace(/\/$/, "");
}

/** A name that we answer to (PUBLIC_URL, ALLOWED_HOSTS), or one of this machine while the public one is such a name too. */
function isOwnOrigin({ publicUrl, config }: Named, url: URL): boolean {
  if (url.origin === publicUrl) return true;
  const own = new URL(publicUrl);
  if (url.protocol !== own.protocol) return false;
  const isAllowed = (host: string) => plainHost(host, own.protocol) === url.host;
  if (config.allowedHosts.some(isAllowed)) return true;
  const bothHere = isLoopbackName(own.hostname) && isLoopbackName(url.hostname);
  return bothHere && url.port === own.port;
}

/** The origin under which a client has reached us: what it typed, as far as that is a name of ours. */
export function originSeenBy(app: Named, request: Request): string {
  const seen = `${new URL(app.publicUrl).protocol}//${request.headers.get("host") ?? ""}`;
  const isOurs = URL.canParse(seen) && isOwnOrigin(app, new URL(seen));
  return isOurs ? new URL(seen).origin : app.publicUrl;
}
