import type { App } from "#src/app.ts";
import { fingerprint, newToken, tagOf, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { expectFormToken, hostCookie, readHostCookie } from "#src/http/forms.ts";
import { timely } from "#src/clock.ts";
import { type Role, openKey, removeKey, saveKey, takeLink } from "./operator-store.ts";

/** Who is at the operator's pages, whatever has proven it: today a link from the command line. */
export type Operator = {
  readonly role: Role;
  /** For the audit trail. */
  readonly subject: string;
  /** Goes into every form of this browser. */
  readonly formToken: string;
};

type Deps = Pick<App, "db" | "now">;

const cookieName = "review";
const linkMs = 10 * 60_000;
const browserSeconds = 3600;

/** The pages that a link leads to. */
const entrances = { review: "/review", console: "/console/enter" } as const;

/** A link to the operator's pages: once, within ten minutes. It is kept as a fingerprint. */
export async function createOperatorLink(
  app: Deps & Pick<App, "publicUrl">,
  asked: {
    readonly page: keyof typeof entrances;
    readonly role?: Role;
    readonly subject?: string;
  },
): Promise<{ readonly url: string; readonly expiresAt: Date }> {
  const { page, role = "operator", subject = role } = asked;
  const code = newToken("review").reveal();
  const expiresAt = new Date(app.now().getTime() + linkMs);
  const key = {
    fingerprint: fingerprint(code),
    kind: "console_link" as const,
    role,
    subject,
    expiresAt,
  };
  await timely(saveKey(app.db, key));
  return { url: `${app.publicUrl}${entrances[page]}/${code}`, expiresAt };
}

/** Whether a link can be used; asking does not use it up. Failures: `review_link_needed`. */
export async function expectOperatorLink(app: Deps, code: string): Promise<void> {
  const key = isLink(code)
    ? await timely(openKey(app.db, "console_link", code, app.now()))
    : undefined;
  if (key === undefined) throw new Failure("review_link_needed");
}

/** Lets the browser that uses a link at the pages for an hour; a Set-Cookie value. Failures: `review_link_needed`. */
export async function acceptOperatorLink(app: Deps, code: string): Promise<string> {
  const now = app.now();
  const cookie = newToken("cookie").reveal();
  const expiresAt = new Date(now.getTime() + browserSeconds * 1000);
  const browser = { fingerprint: fingerprint(cookie), kind: "console_browser" as const, expiresAt };
  if (!isLink(code) || !(await timely(takeLink(app.db, { code, browser, now })))) {
    throw new Failure("review_link_needed");
  }
  return hostCookie(cookieName, cookie, browserSeconds);
}

function isLink(code: string): boolean {
  return code.startsWith(tokenPrefixes.review) && code.length < 100;
}

/** Who is at the browser. Failures: `review_link_needed`. */
export async function operatorAt(
  app: Deps & Pick<App, "bindingKey">,
  request: Request,
): Promise<Operator> {
  const cookie = readHostCookie(request, cookieName);
  const key =
    cookie === undefined
      ? undefined
      : await timely(openKey(app.db, "console_browser", cookie, app.now()));
  if (cookie === undefined || key === undefined) throw new Failure("review_link_needed");
  const { role, subject } = key;
  return { role, subject, formToken: tagOf(app.bindingKey, `review:${cookie}`) };
}

/** Who has sent a form that changes something. Failures: `review_link_needed`, `form_refused`, `operator_needed`. */
export async function expectOperator(
  app: Deps & Pick<App, "bindingKey">,
  request: Request,
  form: URLSearchParams,
): Promise<Operator> {
  const operator = await operatorAt(app, request);
  expectFormToken(form, operator.formToken);
  if (operator.role !== "operator") throw new Failure("operator_needed");
  return operator;
}

/** Ends the browser's hour; a Set-Cookie value that removes the cookie. */
export async function leaveOperatorPages(app: Deps, request: Request): Promise<string> {
  const cookie = readHostCookie(request, cookieName);
  if (cookie !== undefined) await timely(removeKey(app.db, cookie));
  return hostCookie(cookieName, "", 0);
}

/** Whether it can stand for a person in records: letters of any language, digits, blanks within, and `. @ : _ -`. */
export function isName(text: string): boolean {
  return /^[\p{L}\p{M}\d_.@:](?:[\p{L}\p{M}\d_ .@:-]{0,78}[\p{L}\p{M}\d_.@:-])?$/u.test(text);
}
