import type { App } from "#src/app.ts";
import type { ApplyRevocations } from "#src/bus.ts";
import type { ClientAuthDeps } from "../clients/authenticate.ts";
import type { Client } from "../clients/client.ts";
import type { TokenDeps } from "../tokens/issue.ts";

/** What grants are redeemed with. */
export type GrantDeps = Pick<App, "bindingKey" | "catalog" | "config"> &
  TokenDeps &
  ClientAuthDeps & { readonly applyRevocations: ApplyRevocations };

/** A request of a client that has proven itself. */
export type TokenRequest = { readonly client: Client; readonly form: URLSearchParams };
