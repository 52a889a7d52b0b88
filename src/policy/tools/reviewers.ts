import type { App } from "#src/app.ts";
import { fingerprint, newToken, tagOf, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { expectFormToken } from "#src/http/form.ts";
import { hostCookie, readHostCookie } from "#src/http/cookies.ts";
import { isReviewKey, saveReviewKey, useReviewLink } from "./store.ts";

const cookieName = "review";
const linkMs = 10 * 60_000;
const browserSeconds = 3600;

/** A link to the page of held definitions: once, within ten minutes. It is kept as a fingerprint. */
export async function createReviewLink(
  app: Pick<App, "db" | "now" | "publicUrl">,
): Promise<{ readonly url: string; readonly expiresAt: Date }> {
  const code = newToken("review").reveal();
  const expiresAt = new Date(app.now().getTime() + linkMs);
  await timely(saveReviewKey(app.db, { fingerprint: fingerprint(code), kind: "link", expiresAt }));
  return { url: `${app.publicUrl}/review/${code}`, expiresAt };
}

/** Whether a link can be used; asking does not use it up. Failures: `review_link_needed`. */
export async function expectReviewLink(app: Pick<App, "db" | "now">, code: string): Promise<void> {
  const isOpen = isLink(code) && (await isReviewKey(app.db, "link", fingerprint(code), app.now()));
  if (!isOpen) throw new Failure("review_link_needed");
}

function isLink(code: string): boolean {
  return code.startsWith(tokenPrefixes.review) && code.length < 100;
}

/** Lets the browser that uses a link at the page for an hour; a Set-Cookie value. Failures: `review_link_needed`. */
export async function acceptReviewLink(
  app: Pick<App, "db" | "now">,
  code: string,
): Promise<string> {
  const now = app.now();
  const cookie = newToken("cookie").reveal();
  const browser = {
    fingerprint: fingerprint(cookie),
    kind: "browser" as const,
    expiresAt: new Date(now.getTime() + browserSeconds * 1000),
  };
  if (!isLink(code) || !(await useReviewLink(app.db, { link: fingerprint(code), browser, now }))) {
    throw new Failure("review_link_needed");
  }
  return hostCookie(cookieName, cookie, browserSeconds);
}

/** What goes into every form of the browser that may look. Failures: `review_link_needed`. */
export async function reviewerToken(
  app: Pick<App, "db" | "now" | "bindingKey">,
  request: Request,
): Promise<string> {
  const cookie = readHostCookie(request, cookieName);
  if (
    cookie === undefined ||
    !(await isReviewKey(app.db, "browser", fingerprint(cookie), app.now()))
  ) {
    throw new Failure("review_link_needed");
  }
  return tagOf(app.bindingKey, `review:${cookie}`);
}

/** Failures: `review_link_needed`, `form_refused`. */
export async function expectReviewer(
  app: Pick<App, "db" | "now" | "bindingKey">,
  request: Request,
  form: URLSearchParams,
): Promise<void> {
  expectFormToken(form, await reviewerToken(app, request));
}
