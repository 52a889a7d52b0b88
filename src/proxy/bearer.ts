import { type Caller, type CallerDeps, callerOf, knownCaller } from "#src/oauth-server/caller.ts";
import { scopeFor } from "#src/oauth-server/scopes.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure } from "#src/failure.ts";

/**
 * Who is calling, and whether their account is one that this upstream can use; at once when the bearer was
 * proven a moment ago.
 * Failures: `bearer_missing`, `bearer_invalid`, `account_mismatch`, `database_unavailable`.
 */
export function bearerOf(
  app: CallerDeps & Places,
  request: Request,
  upstream: Upstream,
): Caller | Promise<Caller> {
  const header = request.headers.get("authorization");
  if (header === null) throw new Failure("bearer_missing");
  if (header.slice(0, 7).toLowerCase() !== "bearer ") throw new Failure("bearer_invalid");
  const bearer = header.slice(7).trim();
  const known = knownCaller(app, bearer);
  if (known !== undefined) return entitled(app, known, upstream);
  return callerOf(app, bearer).then((caller) => entitled(app, caller, upstream));
}

type Places = Pick<App, "catalog" | "publicUrl">;

function entitled(app: Places, caller: Caller | undefined, upstream: Upstream): Caller {
  const { name, credential } = upstream;
  if (caller === undefined || isForOther(caller, upstream)) throw new Failure("bearer_invalid");
  if (credential.kind === "operator" && caller.kind !== "agent") {
    throw new Failure("operator_agents_only");
  }
  if (credential.kind === "account" && credential.provider !== caller.provider) {
    throw new Failure(
      "account_mismatch",
      `This bearer belongs to ${caller.provider === undefined ? "no" : `a ${caller.provider}`} account; ${name} needs one of ${credential.provider}`,
      { hint: placeFor(app, caller) },
    );
  }
  return caller;
}

/** Where the bearer fits. */
function placeFor({ catalog, publicUrl }: Places, { provider, upstream }: Caller): string {
  const all = [...catalog.upstreams.values()];
  const fitting = all.filter(
    ({ name, credential }) =>
      credential.kind === "account" &&
      credential.provider === provider &&
      (upstream === undefined || upstream === name),
  );
  return fitting.length === 0
    ? "Connect an account that fits, and make a session for it"
    : `It fits ${fitting.map(({ name }) => `${publicUrl}/mcp/${name}`).join(", ")}`;
}

function isForOther(caller: Caller, { name, admits = name }: Upstream): boolean {
  return caller.upstream !== undefined && caller.upstream !== admits;
}

/**
 * Whether the caller may send these messages; judged on the body, whatever headers say.
 * Failures: `insufficient_scope`, with every scope that would be needed (RFC 6750 section 3.1).
 */
export function checkScopes(caller: Caller, rpcMethods: readonly string[]): void {
  const needed = rpcMethods.map(scopeFor);
  const isAllowed = needed.every((scope) => caller.allowed.has(scope));
  if (isAllowed) return;
  const scope = [...new Set([...caller.granted, ...needed])].join(" ");
  throw new Failure("insufficient_scope", `This needs the scopes ${scope}`, { scope });
}
