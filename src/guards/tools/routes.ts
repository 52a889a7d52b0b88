import { html } from "hono/html";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { readForm } from "#src/http/form.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { type Language, languageOf } from "#src/screens/language.ts";
import { type Markup, page, seeOther } from "#src/screens/page.ts";
import { say } from "#src/screens/words.ts";
import { plain } from "../plain.ts";
import { type Difference, decideTools, heldTools } from "./review.ts";
import { acceptReviewLink, expectReviewer, reviewerToken } from "./reviewers.ts";

type Serving = Pick<App, "db" | "now" | "catalog" | "bindingKey" | "log">;

const mostShown = 50;

/** `/review`: an operator looks at the definitions that are held back, and decides about each. */
export function mountReview(routes: PageRoutes, app: Serving): void {
  routes.get("/review/:code", async ({ req }) =>
    seeOther("/review", [await acceptReviewLink(app, req.param("code"))]),
  );
  routes.get("/review", async ({ req }) => {
    const formToken = await reviewerToken(app, req.raw);
    const held = await heldTools(app, {});
    return await reviewPage(languageOf(req.raw), held, formToken);
  });
  routes.post("/review", async ({ req }) => {
    const form = await readForm(req.raw);
    await expectReviewer(app, req.raw, form);
    const [upstream, hash, state] = ["upstream", "hash", "state"].map((name) => form.get(name));
    const isState = state === "approved" || state === "held";
    if (!isState || upstream == null || hash == null) throw new Failure("form_refused");
    await decideTools(app, { upstream, hashes: [hash], state, by: "review page" });
    return seeOther("/review");
  });
}

function reviewPage(
  language: Language,
  held: readonly Difference[],
  formToken: string,
): Promise<Response> {
  const shown = held.slice(0, mostShown);
  const count = String(held.length - shown.length);
  const body = html`<p>${say(language, held.length === 0 ? "review_none" : "review_lead")}</p>
    ${shown.map((each) => definition(language, each, formToken))}
    ${count === "0" ? "" : html`<p class="note">${say(language, "review_more", { count })}</p>`}`;
  return page(language, say(language, "review_title"), body);
}

function definition(language: Language, held: Difference, formToken: string): Markup {
  const { upstream, name, hash, kind, lines } = held;
  return html`<h2>
      ${upstream}/${plain(name)} <span class="badge">${say(language, `definition_${kind}`)}</span>
    </h2>
    <pre>${lines.join("\n")}</pre>
    <form method="post" action="/review" class="block">
      <input type="hidden" name="form_token" value="${formToken}" />
      <input type="hidden" name="upstream" value="${upstream}" />
      <input type="hidden" name="hash" value="${hash}" />
      <button name="state" value="approved">${say(language, "let_use")}</button>
      <button name="state" value="held" class="quiet">${say(language, "keep_back")}</button>
    </form>`;
}
