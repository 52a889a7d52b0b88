import type { Topic } from "#db/topics.ts";
import { recordEvent } from "#db/events.ts";
import type { App } from "#src/app.ts";
import type { OpenStreams } from "#src/proxy/open-streams.ts";
import { switchedOff } from "#src/policy/switches.ts";
import { definitionsChanged } from "#src/policy/tools/store.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { announceTopic } from "./discovery/announce.ts";
import type { DiscoveryBackend } from "./discovery/backend.ts";
import { identityOfPeer } from "./identity.ts";
import type { PeerSessions } from "./peers/peer-tokens.ts";
import { peerTopic } from "./peers/store.ts";
import type { Broker } from "./stream/stream.ts";

type Deps = Pick<App, "db" | "log"> & { readonly openStreams: Pick<OpenStreams, "cut"> };

type Parts = {
  /** Our own peer id. */
  readonly of: string;
  readonly broker: Broker;
  readonly sessions: Pick<PeerSessions, "forget">;
  readonly backends: readonly DiscoveryBackend[];
};

/** What the edge extension makes of what all replicas are told (`endings`). */
export function followEdgeTopics(app: Deps, parts: Parts): (topics: readonly Topic[]) => void {
  const { of, broker, sessions } = parts;
  const [ownPeers, definitions] = [peerTopic(of, ""), definitionsChanged("")];
  const hearOne = (subject: string) => {
    if (subject === announceTopic(of)) announce(app, parts.backends, subject);
    if (subject.startsWith(definitions)) tellTools(broker, subject.slice(definitions.length));
    if (!subject.startsWith(ownPeers)) return;
    const peerId = subject.slice(ownPeers.length);
    sessions.forget(peerId);
    const upstream = identityOfPeer(peerId)?.nodeId;
    if (upstream !== undefined) app.openStreams.cut(switchedOff(`upstream:${upstream}`));
    tellPeers(broker);
  };
  return (topics) => {
    for (const subject of topics) hearOne(subject);
  };
}

/** And says so, for whoever has asked. */
function announce(app: Deps, backends: readonly DiscoveryBackend[], subject: string): void {
  for (const backend of backends) backend.announce();
  const name = backends.length === 0 ? "announced_nowhere" : "announced";
  recordEvent(app.db, { name, subject }).catch((error: unknown) =>
    app.log.lasting("event_not_stored", errorFields(error)),
  );
}

function tellPeers(broker: Broker): void {
  broker.tell({
    method: "notifications/resources/updated",
    params: { uri: "edge-hive://peers" },
    isFor: ({ kind, upstream }) => kind === "agent" && upstream === "node",
  });
}

function tellTools(broker: Broker, name: string): void {
  broker.tell({
    method: "notifications/tools/list_changed",
    isFor: ({ upstream }) => upstream === undefined || upstream === name,
  });
}

/** MCP has no word for it: a log message, whose data is for programs. */
export function tellAccount(broker: Broker, accountId: string, state: string): void {
  const data = { event: "account_state", account_id: accountId, state };
  const level = state === "active" ? "info" : "warning";
  broker.tell({
    method: "notifications/message",
    params: { level, logger: "smartdash", data },
    isFor: (caller) => caller.accountId === accountId,
  });
}
