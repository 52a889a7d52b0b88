import { recordEvent } from "#db/events.ts";
import type { App } from "#src/app.ts";
import type { OpenStreams } from "#src/proxy/open-streams.ts";
import { switchedOff } from "#src/policy/switches.ts";
import { definitionsChanged } from "#src/policy/tools/store.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { announceSubject } from "./discovery/announce.ts";
import type { Finder } from "./discovery/backend.ts";
import { identityOfPeer } from "./identity.ts";
import type { PeerSessions } from "./peers/sessions.ts";
import { peerSubject } from "./peers/store.ts";
import type { Hub } from "./stream/stream.ts";

type Deps = Pick<App, "db" | "log"> & { readonly openStreams: Pick<OpenStreams, "cut"> };

type Parts = {
  /** Our own peer id. */
  readonly of: string;
  readonly hub: Hub;
  readonly sessions: Pick<PeerSessions, "forget">;
  readonly finders: readonly Finder[];
};

/** What the wing makes of what all replicas are told (`endings`). */
export function createHearing(app: Deps, parts: Parts): (subjects: readonly string[]) => void {
  const { of, hub, sessions } = parts;
  const [ownPeers, definitions] = [peerSubject(of, ""), definitionsChanged("")];
  const hearOne = (subject: string) => {
    if (subject === announceSubject(of)) announce(app, parts.finders, subject);
    if (subject.startsWith(definitions)) tellTools(hub, subject.slice(definitions.length));
    if (!subject.startsWith(ownPeers)) return;
    const peerId = subject.slice(ownPeers.length);
    sessions.forget(peerId);
    const upstream = identityOfPeer(peerId)?.nodeId;
    if (upstream !== undefined) app.openStreams.cut(switchedOff(`upstream:${upstream}`));
    tellPeers(hub);
  };
  return (subjects) => {
    for (const subject of subjects) hearOne(subject);
  };
}

/** And says so, for whoever has asked. */
function announce(app: Deps, finders: readonly Finder[], subject: string): void {
  for (const finder of finders) finder.announce();
  const name = finders.length === 0 ? "announced_nowhere" : "announced";
  recordEvent(app.db, { name, subject }).catch((error: unknown) =>
    app.log.lasting("event_not_stored", errorFields(error)),
  );
}

function tellPeers(hub: Hub): void {
  hub.tell({
    method: "notifications/resources/updated",
    params: { uri: "edge-hive://peers" },
    isFor: ({ kind, upstream }) => kind === "agent" && upstream === "node",
  });
}

function tellTools(hub: Hub, name: string): void {
  hub.tell({
    method: "notifications/tools/list_changed",
    isFor: ({ upstream }) => upstream === undefined || upstream === name,
  });
}

/** MCP has no word for it: a log message, whose data is for programs. */
export function tellAccount(hub: Hub, accountId: string, state: string): void {
  const data = { event: "account_state", account_id: accountId, state };
  const level = state === "active" ? "info" : "warning";
  hub.tell({
    method: "notifications/message",
    params: { level, logger: "smartdash", data },
    isFor: (caller) => caller.accountId === accountId,
  });
}
