import { type Caller, type Callers, callerOf } from "#src/agents/session.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";

/** Who is calling, and whether their account is one that this upstream can use. Failures: `bearer_*`, `account_mismatch`. */
export async function bearerOf(
  app: Pick<App, "db" | "now"> & { readonly callers: Callers },
  request: Request,
  upstream: Upstream,
): Promise<Caller> {
  const header = request.headers.get("authorization");
  if (header === null) throw new Failure("bearer_missing");
  const scheme = header.slice(0, 7).toLowerCase();
  const caller = scheme === "bearer " ? await callerOf(app, header.slice(7).trim()) : undefined;
  if (caller === undefined) throw new Failure("bearer_invalid");
  const { credential } = upstream;
  if (credential.kind === "account" && credential.provider !== caller.provider) {
    throw new Failure(
      "account_mismatch",
      `This bearer belongs to a ${caller.provider} account; ${upstream.name} needs one of ${credential.provider}`,
    );
  }
  return caller;
}
