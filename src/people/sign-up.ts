import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { fingerprint, newToken, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { hostCookie, readHostCookie } from "#src/http/forms.ts";
import { isInviteOpen, saveInvite, saveInvitedPerson, savePerson } from "./store.ts";

const cookieName = "invite";
const sevenDaysInSeconds = 7 * 86_400;

/** Adds a person nobody knew before, when they may come in (SMARTDASH_SIGNUP). Failures: `invite_needed`. */
export async function admit(
  app: Pick<App, "db" | "now" | "config">,
  newcomer: { personId: string; account: string; invite: string | undefined },
): Promise<void> {
  const { personId, account, invite } = newcomer;
  const { signUp } = app.config;
  if (signUp === "open" || (signUp !== "invite" && signUp.has(account))) {
    return await savePerson(app.db, personId);
  }
  const invited = { personId, fingerprint: fingerprint(invite ?? ""), now: app.now() };
  if (!isInvite(invite) || !(await saveInvitedPerson(app.db, invited))) {
    throw new Failure("invite_needed");
  }
}

/** A link that lets one new person in, within seven days. It is shown once and kept as a fingerprint. */
export async function createInvite(
  app: Pick<App, "db" | "now" | "publicUrl">,
): Promise<{ readonly url: string; readonly expiresAt: Date }> {
  const now = app.now();
  const code = newToken("invite").reveal();
  const expiresAt = new Date(now.getTime() + sevenDaysInSeconds * 1000);
  await saveInvite(app.db, { id: newId(now), fingerprint: fingerprint(code), expiresAt });
  return { url: `${app.publicUrl}/invite/${code}`, expiresAt };
}

/**
 * Keeps an invitation in the browser until an account is connected; opening the link uses nothing up.
 * The result is a Set-Cookie value. Failures: `invite_unknown`.
 */
export async function acceptInvite(app: Pick<App, "db" | "now">, code: string): Promise<string> {
  await expectInvite(app, code);
  return hostCookie(cookieName, code, sevenDaysInSeconds);
}

/** Whether an invitation is open; uses nothing up. Failures: `invite_unknown`. */
export async function expectInvite(app: Pick<App, "db" | "now">, code: string): Promise<void> {
  const isOpen = isInvite(code) && (await isInviteOpen(app.db, fingerprint(code), app.now()));
  if (!isOpen) throw new Failure("invite_unknown");
}

/** The invitation that this browser holds. */
export function inviteOf(request: Request): string | undefined {
  const code = readHostCookie(request, cookieName);
  return isInvite(code) ? code : undefined;
}

function isInvite(code: string | undefined): code is string {
  return code !== undefined && code.startsWith(tokenPrefixes.invite) && code.length < 100;
}
