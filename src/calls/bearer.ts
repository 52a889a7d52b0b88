import { type Caller, type Knowing, callerOf, knownCaller } from "#src/agents/caller.ts";
import { scopeFor } from "#src/agents/scopes.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";

/**
 * Who is calling, and whether their account is one that this upstream can use; at once when the bearer was
 * proven a moment ago.
 * Failures: `bearer_missing`, `bearer_invalid`, `account_mismatch`, `database_unavailable`.
 */
export function bearerOf(
  app: Knowing,
  request: Request,
  upstream: Upstream,
): Caller | Promise<Caller> {
  const header = request.headers.get("authorization");
  if (header === null) throw new Failure("bearer_missing");
  if (header.slice(0, 7).toLowerCase() !== "bearer ") throw new Failure("bearer_invalid");
  const bearer = header.slice(7).trim();
  const known = knownCaller(app, bearer);
  if (known !== undefined) return entitled(known, upstream);
  return callerOf(app, bearer).then((caller) => entitled(caller, upstream));
}

function entitled(caller: Caller | undefined, upstream: Upstream): Caller {
  const { name, credential } = upstream;
  if (caller === undefined || isForOther(caller, upstream)) throw new Failure("bearer_invalid");
  if (credential.kind === "operator" && caller.kind !== "agent") {
    throw new Failure("operator_agents_only");
  }
  if (credential.kind === "account" && credential.provider !== caller.provider) {
    throw new Failure(
      "account_mismatch",
      `This bearer belongs to ${caller.provider === undefined ? "no" : `a ${caller.provider}`} account; ${name} needs one of ${credential.provider}`,
    );
  }
  return caller;
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
