import { html } from "hono/html";
import { Failure } from "#src/failure.ts";
import { planRevocation, revokeAll } from "#src/operations/revoke/revoke.ts";
import type { Selection } from "#src/operations/revoke/store.ts";
import type { ConsoleDeps } from "./deps.ts";
import type { Sent } from "./mount.ts";
import { type Room, type View, actionButton, consolePage, tableOf } from "./layout.ts";
import { told } from "./words.ts";

const kinds = ["account", "agent", "grant", "session"] as const;

/** Which page an end is asked for on. */
const roomOf = {
  account: "accounts",
  agent: "agents",
  grant: "agents",
  session: "agents",
} as const satisfies Record<(typeof kinds)[number], Room>;

/** Failures: `not_found` for what cannot be ended here. */
function selectionIn(
  given: URLSearchParams,
): Selection & { readonly kind: (typeof kinds)[number] } {
  const kind = kinds.find((each) => each === given.get("kind"));
  const id = given.get("id") ?? "";
  if (kind === undefined || id === "") throw new Failure("not_found");
  return { kind, id };
}

/** What would end, before it does. Failures: `not_found`. */
export async function revokePage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const wish = selectionIn(query);
  const { living } = await planRevocation(app, wish);
  const { language } = view;
  const room = roomOf[wish.kind];
  const what = `${told(language, wish.kind)} ${wish.id}`;
  const { sessions, grants, ...others } = living;
  const tokens = Object.values(others).reduce((sum, count) => sum + count, 0);
  const body = html`<p>
      ${told(language, "revoke_sure", { what, sessions, grants, tokens })}
      ${wish.kind === "account" ? told(language, "revoke_provider") : ""}
    </p>
    <p class="actions">
      ${actionButton(view, { action: "/console/revoke", label: told(language, "revoke_go"), about: what, kind: "grave", fields: wish })}
      <a class="button plain" href="/console/${room}">${told(language, "cancel")}</a>
    </p>`;
  return await consolePage(view, { room, title: told(language, "revoke"), body });
}

/** Ends it, on every replica and at the provider, and says what became of it. */
export async function revoke(app: ConsoleDeps, sent: Sent): Promise<Response> {
  const wish = selectionIn(sent.form);
  await sent.note(`${wish.kind}_revoke`, wish.id);
  const { accounts, acknowledged } = await revokeAll(app, await planRevocation(app, wish));
  const { language } = sent.view;
  const rows = accounts.map(({ name, atProvider, reason, page: byHand }) => [
    name,
    [atProvider, reason, byHand].filter(Boolean).join(" "),
  ]);
  const body = html`<p class="notice">
      ${told(language, "done")}
      ${told(language, "acknowledged_by", { by: acknowledged.by, of: acknowledged.of })}
    </p>
    ${rows.length === 0 ? "" : tableOf([told(language, "account"), told(language, "outcome")], rows, "")}`;
  return await consolePage(sent.view, {
    room: roomOf[wish.kind],
    title: told(language, "revoke_go"),
    body,
  });
}
