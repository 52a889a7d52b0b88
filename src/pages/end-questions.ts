import { html } from "hono/html";
import { accountById } from "#src/accounts/store.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { type Language, languageOf } from "#src/http/language.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { openSessions } from "#src/oauth-server/sessions/store.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import { timely } from "#src/clock.ts";
import { plain } from "#src/telemetry/redact.ts";
import { agentNameIn } from "./activity-rows.ts";
import { type PermissionDeps, expectPerson, namedAccount, ownPermission } from "./narrow.ts";
import { page } from "./page.ts";
import { say } from "./words.ts";

/** `/grants/:id/end`, `/sessions/:id/end`: the question before a permission or a session ends. */
export function mountEndQuestions(routes: PageRoutes, app: PermissionDeps): void {
  routes.get("/grants/:id/end", async ({ req }) => {
    const { grant, person } = await ownPermission(app, req.raw, req.param("id"));
    const language = languageOf(req.raw);
    const account = await timely(accountById(app.db, grant.accountId));
    const values = {
      agent: plain(grant.clientName),
      account: namedAccount(app, language, account),
    };
    return await questionPage(language, { values, person, is: "permission" });
  });
  routes.get("/sessions/:id/end", async ({ req }) => {
    const person = await expectPerson(app, req.raw);
    const id = readId(req.param("id"));
    const sessions = await timely(openSessions(app.db, person.personId, app.now()));
    const session = sessions.find((each) => each.id === id);
    if (session === undefined) throw new Failure("not_found");
    const language = languageOf(req.raw);
    const account = await timely(accountById(app.db, session.accountId));
    const agent = agentNameIn(language, {
      agent: `session:${session.id}`,
      agentName: session.platform,
    });
    const values = { agent, account: namedAccount(app, language, account) };
    return await questionPage(language, { values, person, is: "session" });
  });
}

/** What ends, and the button that ends it. */
function questionPage(
  language: Language,
  asked: {
    readonly is: "permission" | "session";
    readonly values: { readonly agent: string; readonly account: string };
    readonly person: SignedIn;
  },
): Promise<Response> {
  const { is, values, person } = asked;
  const isSession = is === "session";
  const body = html`<p>${say(language, isSession ? "end_session_lead" : "remove_lead", values)}</p>
    <form method="post" class="block">
      <input type="hidden" name="form_token" value="${person.formToken}" />
      <a class="button quiet" href="/">${say(language, "back")}</a>
      <button>${say(language, isSession ? "end_session" : "remove_permission")}</button>
    </form>`;
  return page(language, say(language, isSession ? "end_session_title" : "remove_title"), body);
}
