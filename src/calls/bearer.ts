import { type Caller, type Callers, callerOf, knownCaller } from "#src/agents/session.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";

type Asking = Pick<App, "db" | "now"> & { readonly callers: Callers };

/**
 * Who is calling, and whether their account is one that this upstream can use; at once when the bearer was
 * proven a moment ago.
 * Failures: `bearer_missing`, `bearer_invalid`, `account_mismatch`, `database_unavailable`.
 */
export function bearerOf(
  app: Asking,
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

function entitled(caller: Caller | undefined, { name, credential }: Upstream): Caller {
  if (caller === undefined) throw new Failure("bearer_invalid");
  if (credential.kind === "account" && credential.provider !== caller.provider) {
    throw new Failure(
      "account_mismatch",
      `This bearer belongs to a ${caller.provider} account; ${name} needs one of ${credential.provider}`,
    );
  }
  return caller;
}
