import { html } from "hono/html";
import type { Account } from "#src/accounts/store.ts";
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
import { agentNameIn, toolTitle } from "./activity-rows.ts";
import { type Markup, accountName, seeOther } from "./page.ts";
import { say } from "./words.ts";
import type { Budget } from "#src/config/guards.ts";
import { plain } from "#src/telemetry/redact.ts";
import { type Approval, pendingApprovals, standingApprovals } from "#src/policy/approvals/store.ts";
import { budgetsOf } from "#src/policy/budgets.ts";
import { stoppedAmong } from "#src/policy/switch-store.ts";
import { letAgentGoOn } from "#src/policy/switches.ts";
import { usedUnder } from "#src/policy/rates/store.ts";

type Deps = Pick<App, "db" | "now" | "config" | "catalog">;

/** A permission or a session of a person, as guards know it. */
type Agent = { readonly key: string; readonly name: string; readonly accountId: string };

/** What guards have to tell a person. */
type Notes = {
  /** What they have to do something about; empty where nothing is. */
  readonly urgent: Markup | "";
  /** What was allowed for longer, and what is used of budgets. */
  readonly others: Markup;
};

/** What wants a person first: questions, accounts to connect again, agents that were stopped, budgets nearly used up; and the rest. */
export async function guardNotes(
  app: Deps,
  language: Language,
  whose: { readonly person: SignedIn; readonly accounts: readonly Account[] },
): Promise<Notes> {
  const { person, accounts } = whose;
  const agents = await agentsOf(app, person.personId, language);
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
  const low = used.filter(isLow);
  const urgent = sections(language, "h3", {
    waiting: pending.map((each) => question(app, language, each)),
    accounts_to_reconnect: accounts
      .filter(({ state }) => state === "reconnect_required" || state === "ambiguous")
      .map((account) => accountToReconnect(app, language, account)),
    stopped_agents: stopped
      .filter(({ by }) => by === "guard")
      .map(({ subject }) =>
        row(language, {
          text: names.get(subject) ?? subject,
          action: `/stopped/${subject.replace(":", "/")}`,
          button: "let_go_on",
          person,
        }),
      ),
    switched_off_agents: stopped
      .filter(({ by }) => by !== "guard")
      .map(
        ({ subject, reason }) =>
          html`<li>
            <span class="grow"
              >${names.get(subject) ?? subject}<br /><span class="note"
                >${reason === null ? "" : plain(reason)}</span
              ></span
            >
          </li>`,
      ),
    budgets_low: low.map((each) => usedRow(language, each)),
  });
  const others = sections(language, "h2", {
    allowed_longer: standing.map((each) => standingRow(app, language, each, person)),
    used_calls: used.filter((each) => !isLow(each)).map((each) => usedRow(language, each)),
  });
  return {
    urgent:
      urgent.length === 0
        ? ""
        : html`<h2>${say(language, "wants_you")}</h2>
            ${urgent}`,
    others: html`${others}`,
  };
}

/** The part of a budget from which on operators are told, too (`budget_low`). */
const lowPart = 0.8;

function isLow({ used, limit }: Used): boolean {
  return used >= lowPart * limit;
}

type SectionName =
  | "waiting"
  | "accounts_to_reconnect"
  | "stopped_agents"
  | "switched_off_agents"
  | "budgets_low"
  | "allowed_longer"
  | "used_calls";

/** Nothing where there is nothing to say. */
function sections(
  language: Language,
  level: "h2" | "h3",
  rows: Readonly<Partial<Record<SectionName, readonly Markup[]>>>,
): readonly Markup[] {
  const named = sectionNames.map((title) => [title, rows[title] ?? []] as const);
  return named
    .filter(([, own]) => own.length > 0)
    .map(([title, own]) => {
      const words = say(language, title);
      const lead =
        title === "stopped_agents"
          ? html`<p class="note">
              ${say(language, "stopped_lead")}
              <a href="/activity">${say(language, "activity_of_agents")}</a>
            </p>`
          : title === "switched_off_agents"
            ? html`<p class="note">${say(language, "switched_off_lead")}</p>`
            : "";
      return html`${level === "h2" ? html`<h2>${words}</h2>` : html`<h3>${words}</h3>`} ${lead}
        <ul>
          ${own}
        </ul>`;
    });
}

const sectionNames = [
  "waiting",
  "accounts_to_reconnect",
  "stopped_agents",
  "switched_off_agents",
  "budgets_low",
  "allowed_longer",
  "used_calls",
] as const satisfies readonly SectionName[];

function accountToReconnect(app: Deps, language: Language, account: Account): Markup {
  const name = accountName(app, language, account);
  const words = say(language, "reconnect");
  return html`<li>
    <span class="grow"
      >${name}<br /><span class="note">${say(language, `state_${account.state}`)}</span></span
    >
    ${
      account.kind === "oauth"
        ? html`<a
            class="button"
            href="/accounts/${account.id}/reconnect"
            aria-label="${words}: ${name}"
            >${words}</a
          >`
        : ""
    }
  </li>`;
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

async function agentsOf(
  app: Pick<App, "db" | "now">,
  personId: string,
  language: Language = "en",
): Promise<readonly Agent[]> {
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
      name: agentNameIn(language, { agent: `session:${id}`, agentName: platform }),
      accountId,
    })),
  ];
}

function standingRow(
  app: Pick<App, "catalog">,
  language: Language,
  approval: Approval,
  person: SignedIn,
): Markup {
  const { id, extent } = approval;
  const { agent, tool } = askedBy(app, language, approval);
  const word = extent === "always" ? "allowed_always" : "allowed_hour";
  return row(language, {
    text: `${agent}: ${tool} (${say(language, word)})`,
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

function question(app: Pick<App, "catalog">, language: Language, approval: Approval): Markup {
  const words = say(language, "approval_title", askedBy(app, language, approval));
  return html`<li><a href="/approvals/${approval.id}">${words}</a></li>`;
}

/** Who asks for what, as people call them. */
export function askedBy(
  { catalog }: Pick<App, "catalog">,
  language: Language,
  { agent, caller, upstream, tool: name }: Approval,
): { readonly agent: string; readonly tool: string } {
  // A session without a platform is called by its id, in the language of whoever reads.
  const isNameless = caller.startsWith("session:") && agent.startsWith("session ");
  const named = isNameless
    ? agentNameIn(language, { agent: caller, agentName: null })
    : plain(agent);
  return {
    agent: named,
    tool: toolTitle({ catalog, language, titles: new Map() }, { upstream, name }),
  };
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
