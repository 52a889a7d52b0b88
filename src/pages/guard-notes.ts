import { html } from "hono/html";
import { policyKeyOf } from "#src/oauth-server/grants/consent.ts";
import { openGrants } from "#src/oauth-server/grants/store.ts";
import { openSessions } from "#src/oauth-server/sessions/store.ts";
import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { type PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { type SignedIn, formSender } from "#src/people/sign-in.ts";
import type { Language } from "#src/http/language.ts";
import { type Markup, seeOther } from "./page.ts";
import { say } from "./words.ts";
import type { Budget } from "#src/config/guards.ts";
import { plain } from "#src/telemetry/redact.ts";
import { type Approval, pendingApprovals, standingApprovals } from "#src/policy/approvals/store.ts";
import { budgetsOf } from "#src/policy/budgets.ts";
import { stoppedAmong } from "#src/policy/switch-store.ts";
import { letAgentGoOn } from "#src/policy/switches.ts";
import { usedUnder } from "#src/policy/rates/store.ts";

type Deps = Pick<App, "db" | "now" | "config">;

/** A permission or a session of a person, as guards know it. */
type Agent = { readonly key: string; readonly name: string; readonly accountId: string };

/** What guards have to tell a person: questions, agents that were stopped, what was allowed, what is used. */
export async function guardNotes(app: Deps, person: SignedIn, language: Language): Promise<Markup> {
  const agents = await agentsOf(app, person.personId);
  const [pending, standing, stopped, used] = await Promise.all([
    pendingApprovals(app.db, person.personId),
    standingApprovals(app.db, person.personId),
    stoppedAmong(
      app.db,
      agents.map(({ key }) => key),
    ),
    usedBy(app, agents),
  ]);
  const names = new Map(agents.map(({ key, name }) => [key, name]));
  const rows = {
    waiting: pending.map((each) => question(language, each)),
    stopped_agents: stopped.map(({ subject }) =>
      row(language, {
        text: names.get(subject) ?? subject,
        action: `/stopped/${subject.replace(":", "/")}`,
        button: "let_go_on",
        person,
      }),
    ),
    allowed_longer: standing.map((each) => standingRow(language, each, person)),
    used_calls: used.map((each) => usedRow(language, each)),
  };
  return html`${sections.map((title) => section(language, title, rows[title]))}`;
}

const sections = ["waiting", "stopped_agents", "allowed_longer", "used_calls"] as const;

/** Nothing where there is nothing to say. */
function section(
  language: Language,
  title: (typeof sections)[number],
  rows: readonly Markup[],
): Markup | "" {
  if (rows.length === 0) return "";
  const lead =
    title === "stopped_agents" ? html`<p class="note">${say(language, "stopped_lead")}</p>` : "";
  return html`<h2>${say(language, title)}</h2>
    ${lead}
    <ul>
      ${rows}
    </ul>`;
}

/** `/stopped/…`: a person lets an agent of theirs go on that a guard has stopped. */
export function mountStopped(
  routes: PageRoutes,
  app: Pick<App, "db" | "now" | "config" | "bindingKey" | "log">,
): void {
  routes.post("/stopped/:kind/:id", async ({ req }) => {
    const { personId } = await formSender(app, req.raw, await readForm(req.raw));
    const subject = `${req.param("kind")}:${readId(req.param("id")) ?? ""}`;
    const agents = await agentsOf(app, personId);
    if (!agents.some(({ key }) => key === subject)) throw new Failure("not_found");
    // What the operator has switched off is not the person's to switch on.
    await letAgentGoOn(app, subject);
    return seeOther("/");
  });
}

async function agentsOf(app: Pick<App, "db" | "now">, personId: string): Promise<readonly Agent[]> {
  const [grants, sessions] = await Promise.all([
    openGrants(app.db, personId),
    openSessions(app.db, personId, app.now()),
  ]);
  return [
    ...[...new Map(grants.map((grant) => [policyKeyOf(grant), grant]))].map(
      ([key, { clientName: name, accountId }]) => ({ key, name, accountId }),
    ),
    ...sessions.map(({ id, platform, accountId }) => ({
      key: `session:${id}`,
      name: platform ?? `session ${id.slice(-6)}`,
      accountId,
    })),
  ];
}

function standingRow(language: Language, approval: Approval, person: SignedIn): Markup {
  const { id, agent, tool, extent } = approval;
  const word = extent === "always" ? "approve_always" : "approve_hour";
  return row(language, {
    text: `${plain(agent)}: ${plain(tool)} (${say(language, word)})`,
    action: `/approvals/${id}/withdraw`,
    button: "withdraw",
    person,
  });
}

type Used = Pick<Budget, "period"> & {
  readonly name: string;
  readonly used: number;
  readonly limit: number;
};

/** Budgets that have been touched; those of an account count the calls of all its agents. */
async function usedBy(app: Deps, agents: readonly Agent[]): Promise<readonly Used[]> {
  const { budgets } = app.config.guards;
  const now = app.now();
  const rows = agents.flatMap((agent) =>
    budgetsOf(budgets, agent, now).map(({ key, budget }) => ({ key, budget, name: agent.name })),
  );
  const used = await usedUnder(
    app.db,
    rows.map(({ key }) => key),
  );
  return rows.flatMap(({ key, budget: { calls: limit, period }, name }) => {
    const calls = used.get(key);
    return calls === undefined ? [] : [{ name, used: calls, limit, period }];
  });
}

function usedRow(language: Language, { name, used, limit, period }: Used): Markup {
  const words = {
    used: String(used),
    limit: String(limit),
    period: say(language, `period_${period}`),
  };
  return html`<li>
    <span class="grow"
      >${name}<br /><span class="note">${say(language, "used_of", words)}</span></span
    >
  </li>`;
}

function question(language: Language, { id, agent, tool }: Approval): Markup {
  return html`<li>
    <a href="/approvals/${id}"
      >${say(language, "approval_title", { agent: plain(agent), tool: plain(tool) })}</a
    >
  </li>`;
}

function row(
  language: Language,
  what: {
    readonly text: string;
    readonly action: string;
    readonly button: "let_go_on" | "withdraw";
    readonly person: SignedIn;
  },
): Markup {
  return html`<li>
    <span class="grow">${what.text}</span>
    <form method="post" action="${what.action}">
      <input type="hidden" name="form_token" value="${what.person.formToken}" />
      <button class="quiet" aria-label="${say(language, what.button)}: ${what.text}">
        ${say(language, what.button)}
      </button>
    </form>
  </li>`;
}
