import { html } from "hono/html";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { expectFormToken, readForm } from "#src/http/forms.ts";
import { languageOf } from "#src/http/language.ts";
import { readId } from "#src/crypto/ids.ts";
import {
  acceptOperatorLink,
  expectOperatorLink,
  leaveOperatorPages,
  operatorAt,
} from "#src/people/operators.ts";
import { page, seeOther } from "../page.ts";
import { accountPage, accountsPage, refreshAccount } from "./accounts.ts";
import { agentsPage } from "./agents.ts";
import { acknowledgeOne, alertsPage, testSinks } from "./alerts.ts";
import { answerApproval, approvalsPage, withdrawApproval } from "./approvals.ts";
import { auditPage } from "./audit.ts";
import { checkReportPage, checksPage, runCheckNow } from "./check.ts";
import { callPage, callsPage, readCallsQuery } from "./calls.ts";
import type { ConsoleDeps } from "./deps.ts";
import { change, look } from "./mount.ts";
import { callTail, liveScript } from "./live.ts";
import { overviewPage } from "./overview.ts";
import { revoke, revokePage } from "./revoke.ts";
import { settingsPage } from "./settings.ts";
import { flipSwitch } from "./switches.ts";
import { decideTool, holdKnownTool, releaseTool, toolsPage } from "./tools.ts";
import { told } from "./words.ts";

/**
 * `/console`: what the gateway does, for operators and auditors. A link of `smartdash console` lets a browser in; each page is a
 * view of an operation that a command has too, and each button calls that operation.
 */
export function mountConsole(routes: PageRoutes, app: ConsoleDeps): void {
  mountEntrance(routes, app);
  look(routes, app, "/console/overview", (view, { query }) => overviewPage(app, view, query));
  look(routes, app, "/console/calls", (view, { query }) => callsPage(app, view, query));
  look(routes, app, "/console/calls/live", ({ operator }, { request, query }) => {
    const browser = operator.formToken;
    const isAllowed = () =>
      operatorAt(app, request).then(
        () => true,
        () => false,
      );
    const after = readId(request.headers.get("last-event-id") ?? query.get("after"));
    const asked = readCallsQuery(query);
    // What asks for the head alone would never read what follows it.
    const isRead = request.method === "GET";
    return Promise.resolve(
      isRead ? callTail(app, asked, { isAllowed, after, browser }) : new Response(null),
    );
  });
  look(routes, app, "/console/calls/:id", (view, { id }) => callPage(app, view, id));
  look(routes, app, "/console/accounts", (view, { query }) => accountsPage(app, view, query));
  look(routes, app, "/console/accounts/:id", (view, { id }) => accountPage(app, view, id));
  change(routes, app, "/console/accounts/:id/refresh", (sent) => refreshAccount(app, sent));
  look(routes, app, "/console/revoke", (view, { query }) => revokePage(app, view, query));
  change(routes, app, "/console/revoke", (sent) => revoke(app, sent));
  look(routes, app, "/console/agents", (view, { query }) => agentsPage(app, view, query));
  change(routes, app, "/console/switch", (sent) => flipSwitch(app, sent));
  look(routes, app, "/console/tools", (view, { query }) => toolsPage(app, view, query));
  change(routes, app, "/console/tools/decide", (sent) => decideTool(app, sent));
  change(routes, app, "/console/tools/release", (sent) => releaseTool(app, sent));
  change(routes, app, "/console/tools/hold", (sent) => holdKnownTool(app, sent));
  look(routes, app, "/console/approvals", (view) => approvalsPage(app, view));
  change(routes, app, "/console/approvals/answer", (sent) => answerApproval(app, sent));
  change(routes, app, "/console/approvals/withdraw", (sent) => withdrawApproval(app, sent));
  look(routes, app, "/console/alerts", (view, { query }) => alertsPage(app, view, { query }));
  change(routes, app, "/console/alerts/acknowledge", (sent) => acknowledgeOne(app, sent));
  change(routes, app, "/console/alerts/test", (sent) => testSinks(app, sent));
  look(routes, app, "/console/audit", (view, { query }) => auditPage(app, view, query));
  look(routes, app, "/console/check", (view) => checksPage(app, view));
  look(routes, app, "/console/check/:id", (view, { id }) => checkReportPage(app, view, id));
  change(routes, app, "/console/check", (sent) => runCheckNow(app, sent));
  look(routes, app, "/console/settings", (view) => settingsPage(app, view));
}

/** The link, its button, and the way out. */
function mountEntrance(routes: PageRoutes, app: ConsoleDeps): void {
  routes.get("/console", () => seeOther("/console/overview"));
  routes.get("/console/enter/:code", async ({ req }) => {
    await expectOperatorLink(app, req.param("code"));
    const language = languageOf(req.raw);
    const body = html`<p>${told(language, "enter_lead")}</p>
      <form method="post" class="block">
        <button>${told(language, "enter")}</button>
      </form>`;
    return await page(language, told(language, "console"), body, { isPrivate: true });
  });
  // What fetches a link to show a preview of it presses no button.
  routes.post("/console/enter/:code", async ({ req }) =>
    seeOther("/console/overview", [await acceptOperatorLink(app, req.param("code"))]),
  );
  routes.post("/console/leave", async ({ req }) => {
    const { formToken } = await operatorAt(app, req.raw);
    expectFormToken(await readForm(req.raw), formToken);
    return seeOther("/", [await leaveOperatorPages(app, req.raw)]);
  });
  routes.get("/console/live.js", () => {
    const headers = {
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "max-age=300",
      "x-content-type-options": "nosniff",
    };
    return new Response(liveScript, { headers });
  });
}
