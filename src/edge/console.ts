import { html } from "hono/html";
import type { PageRoutes } from "#src/http/page-routes.ts";
import type { ConsoleDeps } from "#src/pages/console/deps.ts";
import { change, look } from "#src/pages/console/mount.ts";
import {
  actionButton,
  badge,
  consolePage,
  cutNote,
  headings,
  tableOf,
  timeAt,
} from "#src/pages/console/layout.ts";
import { told } from "#src/pages/console/words.ts";
import { seeOther } from "#src/pages/page.ts";
import { plain } from "#src/telemetry/redact.ts";
import { type PeerView, peerViews } from "./discovery/view.ts";
import { forgetPeer } from "./peers/trust.ts";

const mostShown = 200;

/** `/console/peers`: the nodes that this one knows, and what each may do here. */
export function mountPeersRoom(routes: PageRoutes, app: ConsoleDeps, own: string): void {
  look(routes, app, "/console/peers", async (view) => {
    const { language } = view;
    const rows = (await peerViews(app, own)).slice(0, mostShown);
    const cells = rows.map((peer) => [
      html`${plain(peer.name ?? peer.node_id)}<br /><code class="quiet">${peer.peer_id}</code>`,
      trustBadge(peer),
      plain(peer.addresses.join(" ")),
      plain([peer.scope, peer.upstreams?.join(", ")].filter(Boolean).join(" · ")),
      timeAt(momentIn(peer.proven_at ?? peer.seen_at)),
      isTrusted(peer)
        ? actionButton(view, {
            action: "/console/peers/forget",
            label: told(language, "forget"),
            about: peer.node_id,
            fields: { peer: peer.peer_id },
          })
        : "",
    ]);
    const columns = [...headings(language, "who", "state", "address", "what", "at"), ""];
    const body = html`${tableOf(columns, cells, told(language, "no_peers"))}
    ${cutNote(view, rows, mostShown)}`;
    return await consolePage(view, { room: "peers", body });
  });
  change(routes, app, "/console/peers/forget", async ({ form, note }) => {
    const peer = form.get("peer") ?? "";
    await note("peer_forget", peer);
    await forgetPeer(app, own, peer);
    return seeOther("/console/peers");
  });
}

function isTrusted({ trust }: PeerView): boolean {
  return trust === "pinned" || trust === "fleet";
}

function trustBadge(peer: PeerView) {
  return badge(peer.trust ?? "?", isTrusted(peer) ? "good" : "quiet");
}

function momentIn(text: string | null): Date | undefined {
  return text === null ? undefined : new Date(text);
}
