import { html } from "hono/html";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { type Language, languageOf } from "#src/http/language.ts";
import { type Markup, page, seeOther } from "./page.ts";
import { say } from "./words.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import { type Held, decideWaiting, heldTools } from "#src/policy/tools/review.ts";
import {
  acceptOperatorLink,
  expectOperator,
  expectOperatorLink,
  operatorAt,
} from "#src/people/operators.ts";
import { noting } from "#src/operations/operator-actions.ts";
import { countWaiting } from "#src/policy/tools/store.ts";

type Deps = Pick<App, "db" | "now" | "catalog" | "bindingKey" | "log">;

/** Of each upstream, so that none hides the others. */
const mostShown = 20;

/** `/review`: an operator looks at the definitions that wait, and decides about each. */
export function mountReview(routes: PageRoutes, app: Deps): void {
  routes.get("/review/:code", async ({ req }) => {
    await expectOperatorLink(app, req.param("code"));
    return await reviewLinkPage(languageOf(req.raw));
  });
  // What fetches a link to show a preview of it presses no button.
  routes.post("/review/:code", async ({ req }) =>
    seeOther("/review", [await acceptOperatorLink(app, req.param("code"))]),
  );
  routes.get("/review", async ({ req }) => {
    const { formToken, role } = await operatorAt(app, req.raw);
    const held = await heldTools(app, { most: mostShown });
    const more = (await timely(countWaiting(app.db))) - held.length;
    return await reviewPage(languageOf(req.raw), {
      held,
      more,
      formToken: role === "operator" ? formToken : undefined,
    });
  });
  routes.post("/review", async ({ req }) => {
    const form = await readForm(req.raw);
    const { subject } = await expectOperator(app, req.raw, form);
    const [upstream, hash, state] = ["upstream", "hash", "state"].map((name) => form.get(name));
    const isState = state === "approved" || state === "held";
    if (!isState || upstream == null || hash == null) throw new Failure("form_refused");
    await noting(app, { actor: subject, path: "/review" }, async (note) => {
      await note(`tool_${state}`, `${upstream} ${hash.slice(0, 12)}`);
      await decideWaiting(app, { upstream, hash, state, by: `console:${subject}` });
    });
    return seeOther("/review");
  });
}

function reviewLinkPage(language: Language): Promise<Response> {
  const body = html`<form method="post" class="block">
    <button>${say(language, "review_open")}</button>
  </form>`;
  return page(language, say(language, "review_title"), body, { isPrivate: true });
}

function reviewPage(
  language: Language,
  shown: {
    readonly held: readonly Held[];
    readonly more: number;
    /** Undefined for whoever only looks. */
    readonly formToken: string | undefined;
  },
): Promise<Response> {
  const { held, more, formToken } = shown;
  const body = html`<p>${say(language, held.length === 0 ? "review_none" : "review_lead")}</p>
    ${held.map((each) => definition(language, each, formToken))}
    ${more <= 0 ? "" : html`<p class="note">${say(language, "review_more", { count: String(more) })}</p>`}`;
  return page(language, say(language, "review_title"), body);
}

function definition(language: Language, held: Held, formToken: string | undefined): Markup {
  const { upstream, name, kind, lines } = held;
  return html`<h2>
      ${upstream}/${plain(name)}
      <span class="badge"
        >${say(language, kind === "new" ? "definition_new" : "definition_changed")}</span
      >
    </h2>
    <pre>${lines.join("\n")}</pre>
    ${formToken === undefined ? "" : decisionForm(language, held, formToken)}`;
}

function decisionForm(language: Language, { upstream, hash }: Held, formToken: string): Markup {
  return html`<form method="post" action="/review" class="block">
    <input type="hidden" name="form_token" value="${formToken}" />
    <input type="hidden" name="upstream" value="${upstream}" />
    <input type="hidden" name="hash" value="${hash}" />
    <button name="state" value="approved">${say(language, "let_use")}</button>
    <button name="state" value="held" class="quiet">${say(language, "keep_back")}</button>
  </form>`;
}
