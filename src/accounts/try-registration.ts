import { randomBytes } from "node:crypto";
import type { App } from "#src/app.ts";
import { Secret } from "#src/crypto/secret.ts";
import { refreshTokens } from "./provider-client.ts";
import { type Registration, registrationOf } from "./registration.ts";

/** How a provider's token endpoint takes us. */
export type Tried = {
  readonly outcome: "accepted" | "refused" | "busy" | "unclear" | "unreachable";
  /** The provider's own word. */
  readonly code: string;
  readonly status: number | undefined;
  readonly registration: Registration;
  readonly milliseconds: number;
};

/**
 * Asks a provider's token endpoint with a refresh token that cannot exist: an application that it knows is told
 * `invalid_grant`, one that it does not know `invalid_client` (RFC 6749 section 5.2). Touches nobody's account.
 * Failures: `provider_unknown`, `provider_not_configured`.
 */
export async function tryRegistration(
  app: Pick<App, "catalog" | "config" | "publicUrl" | "outbound" | "now">,
  name: string,
): Promise<Tried> {
  const registration = registrationOf(app, name);
  const nobodys = new Secret(`TG-smartdash-check-${randomBytes(12).toString("hex")}`);
  const startedAt = performance.now();
  const answer = await refreshTokens(app, registration, nobodys);
  const milliseconds = Math.round(performance.now() - startedAt);
  if (!("refusal" in answer)) {
    return { outcome: "unclear", code: "tokens", status: 200, registration, milliseconds };
  }
  const { means, code, status } = answer.refusal;
  const facts = { code, status, registration, milliseconds };
  if (status === undefined) return { outcome: "unreachable", ...facts };
  const outcomes = {
    dead: "accepted",
    application_refused: "refused",
    busy: "busy",
    just_refreshed: "unclear",
    broken: "unclear",
  } as const;
  return { outcome: outcomes[means], ...facts };
}
