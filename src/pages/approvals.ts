import { html } from "hono/html";
import { isUsable, openColumn } from "#src/accounts/credential.ts";
import { type Account, accountById, accountsOf } from "#src/accounts/store.ts";
import { type Markup, accountName, page, seeOther } from "./page.ts";
import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { isSame } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { createFloodGate } from "#src/http/flood-gate.ts";
import { type PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { type SignedIn, beginSignIn, formSender, signedIn } from "#src/people/sign-in.ts";
import { type Language, languageOf } from "#src/http/language.ts";
import { packTool } from "#src/upstreams/tools/tool-servers.ts";
import { askedBy } from "./guard-notes.ts";
import { nameIn, say } from "./words.ts";
import { prettyJson } from "#src/policy/pretty-json.ts";
import {
  answerQuestion,
  isOnceOnly,
  argumentsOf,
  readExtent,
  takeBack,
} from "#src/policy/approvals/approval.ts";
import { type Approval, approvalById } from "#src/policy/approvals/store.ts";

type Deps = Pick<App, "db" | "now" | "seal" | "catalog" | "bindingKey" | "log">;

/** `/approvals/:id`: a person allows a call or does not, and takes back what was allowed for longer. */
export function mountApprovals(routes: PageRoutes, app: Deps): void {
  const keyGate = createFloodGate({ perMinute: 10, burst: 10, now: () => app.now().getTime() });
  routes.get("/approvals/:id", async ({ req }) => {
    const person = await signedIn(app, req.raw);
    const language = languageOf(req.raw);
    if (person === undefined) return await keyPage(app, language, req.param("id"));
    const approval = await ownApproval(app, req.param("id"), person);
    return isOpen(app, approval)
      ? await questionPage(app, language, { approval, person })
      : await overPage(language, "approval_over");
  });
  routes.post("/approvals/:id", async ({ req }) => {
    const form = await readForm(req.raw);
    const person = await formSender(app, req.raw, form);
    const { id } = await ownApproval(app, req.param("id"), person);
    const extent = readExtent(form.get("extent") ?? undefined);
    const language = languageOf(req.raw);
    if (!(await answerQuestion(app, { id, extent, by: `person:${person.personId}` }))) {
      return await overPage(language, "approval_over");
    }
    return await overPage(language, extent === undefined ? "approval_refused" : "approval_allowed");
  });
  routes.post("/approvals/:id/key", async ({ req, env }) => {
    keyGate.pass(env.address());
    const form = await readForm(req.raw);
    const id = readId(req.param("id"));
    const approval = id === undefined ? undefined : await approvalById(app.db, id);
    if (approval === undefined) throw new Failure("not_found");
    const given = (form.get("api_key") ?? "").trim();
    const { personId } = approval;
    const account = (await keyAccounts(app, approval)).find((each) => hasKey(app, each, given));
    if (account === undefined || personId === null) throw new Failure("key_refused");
    app.log.info("approval_key_shown", { approval: approval.id, account: account.id });
    const cookie = await beginSignIn(app, personId, keySignInSeconds);
    return seeOther(`/approvals/${approval.id}`, [cookie]);
  });
  routes.post("/approvals/:id/withdraw", async ({ req }) => {
    const { personId } = await formSender(app, req.raw, await readForm(req.raw));
    const id = readId(req.param("id"));
    if (id === undefined) throw new Failure("not_found");
    await takeBack(app, { id, personId }, `person:${personId}`);
    return seeOther("/");
  });
}

/** Whoever shows a key has time for this question and the next; agents may know keys as well. */
const keySignInSeconds = 15 * 60;

function isOpen(app: Deps, { state, expiresAt }: Approval): boolean {
  return state === "pending" && expiresAt > app.now();
}

/**
 * Accounts of the person who is asked that came with a pasted key. None unless all of them did: whoever can sign in at
 * a provider does, because a key must not open what was connected there.
 */
async function keyAccounts(app: Deps, approval: Approval): Promise<readonly Account[]> {
  const { personId } = approval;
  const all = personId === null || !isOpen(app, approval) ? [] : await accountsOf(app.db, personId);
  return all.every(({ kind }) => kind === "static") ? all.filter(isUsable) : [];
}

/** One that cannot be opened has none that could be shown. */
function hasKey(app: Deps, account: Account, given: string): boolean {
  try {
    return isSame(openColumn(app, account, "accessToken").reveal(), given);
  } catch {
    return false;
  }
}

/** Whoever came by a key shows it again. Failures: `sign_in_needed` for everybody else. */
async function keyPage(app: Deps, language: Language, given: string): Promise<Response> {
  const id = readId(given);
  const approval = id === undefined ? undefined : await approvalById(app.db, id);
  const [first] = approval === undefined ? [] : await keyAccounts(app, approval);
  if (approval === undefined || first === undefined) throw new Failure("sign_in_needed");
  const body = html`<p>${say(language, "approval_key_lead")}</p>
    <form method="post" action="/approvals/${approval.id}/key" class="block">
      <p>
        <label
          >${say(language, "approval_key")}
          <input type="password" name="api_key" autocomplete="off" required
        /></label>
      </p>
      <p><button>${say(language, "approval_key_go")}</button></p>
    </form>`;
  return await page(language, say(language, "approval_key_title"), body, { isPrivate: true });
}

/** The link may have been passed on. Failures: `not_found`, `wrong_person`. */
async function ownApproval(app: Deps, given: string, person: SignedIn): Promise<Approval> {
  const id = readId(given);
  const approval = id === undefined ? undefined : await approvalById(app.db, id);
  if (approval === undefined) throw new Failure("not_found");
  if (approval.personId !== person.personId) throw new Failure("wrong_person");
  return approval;
}

async function questionPage(
  app: Deps,
  language: Language,
  asked: { readonly approval: Approval; readonly person: SignedIn },
): Promise<Response> {
  const { approval, person } = asked;
  const { accountId } = approval;
  const account = accountId === null ? undefined : await accountById(app.db, accountId);
  const given = argumentsOf(app, approval) ?? "{}";
  const body = html`<p>${leadOf(app, language, approval)}</p>
    ${account === undefined ? "" : html`<p><b>${accountName(app, language, account)}</b></p>`}
    ${given === "{}" ? html`<p><em>${say(language, "approval_none")}</em></p>` : html`<pre>${prettyJson(given)}</pre>`}
    <form method="post" class="block">
      <input type="hidden" name="form_token" value="${person.formToken}" />
      ${isOnceOnly(app, approval) ? "" : html`<p class="note">${say(language, "approval_hint")}</p>`}
      <p>
        <button name="extent" value="no" class="quiet">${say(language, "deny")}</button>
        <button name="extent" value="once">${say(language, "approve_once")}</button>
      </p>
      ${isOnceOnly(app, approval) ? "" : longerButtons(language)}
    </form>`;
  return await page(
    language,
    say(language, "approval_title", askedBy(app, language, approval)),
    body,
    {
      isPrivate: true,
    },
  );
}

/** What a call would do: in words where we know the tool, else by the upstream's name. */
function leadOf({ catalog }: Deps, language: Language, { upstream, tool }: Approval): string {
  const known = catalog.upstreams.get(upstream);
  const own = known === undefined ? undefined : packTool(known, tool)?.asks?.[language];
  return (
    own ?? say(language, "approval_lead", { upstream: nameIn(language, known?.title ?? upstream) })
  );
}

function longerButtons(language: Language): Markup {
  return html`<p>
    <button name="extent" value="hour" class="quiet">${say(language, "approve_hour")}</button>
    <button name="extent" value="always" class="quiet">${say(language, "approve_always")}</button>
  </p>`;
}

function overPage(
  language: Language,
  word: "approval_over" | "approval_refused" | "approval_allowed",
): Promise<Response> {
  const body = html`<p>${say(language, word)}</p>
    <p><a class="button" href="/">${say(language, "to_front")}</a></p>`;
  return page(language, say(language, "approval_done_title"), body);
}
