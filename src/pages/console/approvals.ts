import { html } from "hono/html";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import {
  answerQuestion,
  argumentsOf,
  isOnceOnly,
  takeBack,
} from "#src/policy/approvals/approval.ts";
import {
  type Approval,
  mostApprovals,
  pendingApprovals,
  standingApprovals,
} from "#src/policy/approvals/store.ts";
import { prettyJson } from "#src/policy/pretty-json.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import { type Markup, seeOther } from "../page.ts";
import type { ConsoleDeps } from "./deps.ts";
import type { Sent } from "./mount.ts";
import {
  type View,
  actionButton,
  badge,
  consolePage,
  cutNote,
  headings,
  tableOf,
  timeAt,
} from "./layout.ts";
import { told } from "./words.ts";

/** Calls that wait for an answer, and what was allowed for longer. */
export async function approvalsPage(app: ConsoleDeps, view: View): Promise<Response> {
  const { language } = view;
  const [pending, standing] = await Promise.all([
    timely(pendingApprovals(app.db)),
    timely(standingApprovals(app.db)),
  ]);
  const body = html`<h2>${told(language, "pending")}</h2>
    ${pending.length === 0 ? html`<p class="quiet">${told(language, "no_approvals")}</p>` : pending.map((each) => question(app, view, each))}
    ${cutNote(view, pending, mostApprovals)}
    <h2>${told(language, "standing")}</h2>
    ${tableOf(
      [...headings(language, "agent", "tool", "until", "who"), ""],
      standing.map((row) => [
        plain(row.agent),
        `${row.upstream}/${plain(row.tool)}`,
        row.extent === "hour" ? timeAt(row.expiresAt) : row.extent,
        row.decidedBy,
        actionButton(view, {
          action: "/console/approvals/withdraw",
          label: told(language, "withdraw"),
          about: plain(row.tool),
          fields: { id: row.id },
        }),
      ]),
      told(language, "none"),
    )}
    ${cutNote(view, standing, mostApprovals)}`;
  return await consolePage(view, { room: "approvals", body });
}

function question(app: ConsoleDeps, view: View, approval: Approval): Markup {
  const { language, operator } = view;
  const { id, agent, upstream, tool, createdAt, expiresAt } = approval;
  const isOperator = operator.role === "operator";
  const given = isOperator ? (argumentsOf(app, approval) ?? "{}") : undefined;
  const about = `${upstream}/${plain(tool)}`;
  const answer = (extent: string, word: "allow_once" | "refuse") =>
    actionButton(view, {
      action: "/console/approvals/answer",
      label: told(language, word),
      about,
      fields: { id, extent },
    });
  return html`<section class="card">
    <h3>
      ${plain(agent)}: ${about}
      ${isOnceOnly(app, approval) ? badge(told(language, "once_only"), "quiet") : ""}
    </h3>
    <p class="quiet">
      ${timeAt(createdAt)} – ${timeAt(expiresAt)} · <code>${plain(approval.caller)}</code>
    </p>
    ${given === undefined ? html`<p class="quiet">${told(language, "hidden_arguments")}</p>` : html`<pre>${prettyJson(given)}</pre>`}
    <p class="actions">${answer("once", "allow_once")} ${answer("no", "refuse")}</p>
  </section>`;
}

/** Answers a question once, with yes or no. Failures: `not_found` when it is open no more. */
export async function answerApproval(
  app: ConsoleDeps,
  { form, note, by }: Sent,
): Promise<Response> {
  const id = readId(form.get("id"));
  const extent = form.get("extent") === "once" ? ("once" as const) : undefined;
  if (id === undefined) throw new Failure("form_refused");
  await note(extent === undefined ? "approval_refuse" : "approval_allow", id);
  if (!(await answerQuestion(app, { id, extent, by }))) throw new Failure("not_found");
  return seeOther("/console/approvals");
}

/** Takes back what was allowed for longer. Failures: `not_found` when it is over. */
export async function withdrawApproval(
  app: ConsoleDeps,
  { form, note, by }: Sent,
): Promise<Response> {
  const id = readId(form.get("id"));
  if (id === undefined) throw new Failure("form_refused");
  await note("approval_withdraw", id);
  if (!(await takeBack(app, { id }, by))) throw new Failure("not_found");
  return seeOther("/console/approvals");
}
