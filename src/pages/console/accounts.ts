import { html } from "hono/html";
import { accountStates } from "#db/schema/accounts.ts";
import { accountById } from "#src/accounts/store.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { refreshEventsOf } from "#src/operations/console-store.ts";
import { describeRefresh } from "#src/operations/refresh/describe.ts";
import { refreshNow } from "#src/operations/refresh/refresh-now.ts";
import { type AccountRow, accountsBefore, countAccounts } from "#src/operations/store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import { type Markup, seeOther } from "../page.ts";
import { refreshTable } from "./calls.ts";
import { type ConsoleDeps, lastOf, pageRows } from "./deps.ts";
import type { Sent } from "./mount.ts";
import {
  type View,
  actionButton,
  badge,
  consolePage,
  factsOf,
  nextPage,
  tableOf,
  timeAt,
} from "./layout.ts";
import { told } from "./words.ts";

/** Every account, the newest first; how many are in which state stands above. */
export async function accountsPage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const { language } = view;
  const state = accountStates.find((each) => each === query.get("state"));
  const named = (query.get("named") ?? "").trim().slice(0, 200);
  const [rows, counts] = await Promise.all([
    timely(
      accountsBefore(app.db, {
        state,
        named: named === "" ? undefined : (named.split(":").at(-1) ?? named),
        before: readId(query.get("before")),
        most: pageRows,
      }),
    ),
    timely(countAccounts(app.db)),
  ]);
  const last = lastOf(rows);
  const next = new URLSearchParams({ state: state ?? "", named, before: last?.id ?? "" });
  const body = html`<p>
      ${counts.map(
        (each, at) =>
          html`${at === 0 ? "" : " · "}<a href="/console/accounts?state=${each.state}"
              >${each.provider}, ${told(language, `state_${each.state}`)}: ${each.count}</a
            >`,
      )}
    </p>
    <form class="filter" method="get" action="/console/accounts">
      <label
        >${told(language, "state")}<br /><select name="state">
          <option value="">${told(language, "every")}</option>
          ${accountStates.map((each) => html`<option value="${each}" ${each === state ? "selected" : ""}>${told(language, `state_${each}`)}</option>`)}
        </select></label
      >
      <label
        >${told(language, "account")}<br /><input name="named" value="${named}" maxlength="200"
      /></label>
      <button>${told(language, "search")}</button>
    </form>
    ${tableOf(
      (["account", "state", "token_until", "why", "since"] as const).map((word) =>
        told(language, word),
      ),
      rows.map((row) => [
        html`<a href="/console/accounts/${row.id}">${nameOf(row)}</a>`,
        stateBadge(view, row.state),
        timeAt(row.accessExpiresAt),
        row.lastError,
        timeAt(row.createdAt),
      ]),
      counts.length === 0
        ? told(language, "no_accounts", { url: app.publicUrl })
        : told(language, "nothing_found"),
    )}
    ${nextPage(view, last && `/console/accounts?${next.toString()}`)}`;
  return await consolePage(view, { room: "accounts", body });
}

function nameOf({
  provider,
  sellerId,
  label,
  site,
}: Pick<AccountRow, "provider" | "sellerId" | "label" | "site">): string {
  const more = [label, site].filter((each) => each !== null).map((each) => plain(each ?? ""));
  return [`${provider}:${sellerId}`, ...more].join(" · ");
}

function stateBadge({ language }: View, state: AccountRow["state"]): Markup {
  const words = told(language, `state_${state}`);
  return badge(words, state === "active" ? "good" : state === "revoked" ? "quiet" : "warn");
}

/** One account: its credential's state, what a refresh would send, what happened to it. Failures: `not_found`. */
export async function accountPage(app: ConsoleDeps, view: View, given: string): Promise<Response> {
  const id = readId(given);
  const account = id === undefined ? undefined : await timely(accountById(app.db, id));
  if (account === undefined) throw new Failure("not_found");
  const { language } = view;
  const {
    wouldSend,
    problem,
    lease,
    account: named,
    id: _,
    ...facts
  } = describeRefresh(app, account);
  const events = await timely(refreshEventsOf(app.db, { accountId: account.id }, 50));
  const rows = [
    ...Object.entries(facts),
    ["lease", lease === null ? null : `${lease.holder} ${lease.until.toISOString()}`] as const,
  ];
  const isLive = account.state !== "revoked";
  const canRefresh = isLive && account.kind === "oauth" && wouldSend !== undefined;
  const body = html`<p class="actions">
      ${canRefresh ? actionButton(view, { action: `/console/accounts/${account.id}/refresh`, label: told(language, "refresh_now") }) : ""}
      ${isLive && view.operator.role === "operator" ? html`<a class="button plain" href="/console/revoke?kind=account&id=${account.id}">${told(language, "revoke")}</a>` : ""}
      <a class="button plain" href="/console/calls?account=${account.id}&since=7d"
        >${told(language, "calls")}</a
      >
    </p>
    ${factsOf(rows)}
    <h2>${told(language, "would_send")}</h2>
    <pre>
${wouldSend === undefined ? problem : [wouldSend.to, ...wouldSend.parameters].join("\n")}</pre>
    <h2>${told(language, "refreshes")}</h2>
    ${refreshTable(view, events)}`;
  return await consolePage(view, {
    room: "accounts",
    title: nameOf({ ...account, sellerId: named.split(":").slice(1).join(":") }),
    body,
  });
}

/** Asks the provider for a new credential now. Failures: those of `refreshNow`. */
export async function refreshAccount(app: ConsoleDeps, sent: Sent): Promise<Response> {
  const id = readId(sent.id);
  if (id === undefined) throw new Failure("not_found");
  await sent.note("account_refresh", id);
  await refreshNow(app, id, sent.requestId);
  return seeOther(`/console/accounts/${id}`);
}
