import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { fingerprint, newToken, tagOf } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { expectFormToken, hostCookie, readHostCookie } from "#src/http/forms.ts";
import { timely } from "#src/clock.ts";
import { endSignIn, saveSignIn, signedInPerson } from "./store.ts";

const cookieName = "person";
const sevenDaysInSeconds = 7 * 86_400;

export type SignedIn = {
  readonly personId: string;
  /** Goes into every form of this browser; proves that a page of ours was the sender. */
  readonly formToken: string;
  /** Goes into our own links to connect another account: no other site can make one. */
  readonly linkToken: string;
};

/** Who is at the browser, if anybody has signed in. */
export async function signedIn(
  app: Pick<App, "db" | "now" | "bindingKey">,
  request: Request,
): Promise<SignedIn | undefined> {
  const cookie = readHostCookie(request, cookieName);
  if (cookie === undefined) return undefined;
  const personId = await timely(signedInPerson(app.db, fingerprint(cookie), app.now()));
  if (personId === undefined) return undefined;
  const formToken = tagOf(app.bindingKey, `form:${cookie}`);
  return { personId, formToken, linkToken: tagOf(app.bindingKey, `link:${cookie}`) };
}

/** Signs a browser in, for seven days unless it is said otherwise; the result is a Set-Cookie value. */
export async function beginSignIn(
  app: Pick<App, "db" | "now">,
  personId: string,
  seconds: number = sevenDaysInSeconds,
): Promise<string> {
  const cookie = newToken("cookie").reveal();
  const now = app.now();
  await saveSignIn(app.db, {
    id: newId(now),
    personId,
    cookieFingerprint: fingerprint(cookie),
    expiresAt: new Date(now.getTime() + seconds * 1000),
  });
  return hostCookie(cookieName, cookie, seconds);
}

/** Ends the browser's sign-in; the result is a Set-Cookie value that removes the cookie. */
export async function signOut(app: Pick<App, "db">, request: Request): Promise<string> {
  const cookie = readHostCookie(request, cookieName);
  if (cookie !== undefined) await endSignIn(app.db, fingerprint(cookie));
  return hostCookie(cookieName, "", 0);
}

/** The person behind a posted form. Failures: `sign_in_needed`, `form_refused`. */
export async function formSender(
  app: Pick<App, "db" | "now" | "bindingKey">,
  request: Request,
  form: URLSearchParams,
): Promise<SignedIn> {
  const person = await signedIn(app, request);
  if (person === undefined) throw new Failure("sign_in_needed");
  expectFormToken(form, person.formToken);
  return person;
}
