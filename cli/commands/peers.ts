import { untilAcknowledged } from "#src/bus.ts";
import { Failure } from "#src/failure.ts";
import { peerViews, connectionView } from "#src/edge/discovery/view.ts";
import { ownNode } from "#src/edge/identity.ts";
import { connectPeer } from "#src/edge/peers/connect.ts";
import { peerTopic } from "#src/edge/peers/store.ts";
import { expectAddress, forgetPeer, peerIdOf, trustPeer } from "#src/edge/peers/trust.ts";
import { selfOf } from "#src/edge/self.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
import { command, group, withApp } from "../command.ts";
import { peerBlock } from "../peer-block.ts";
import { patiently } from "../terminal.ts";

const peer = {
  type: "positional",
  required: true,
  description: "Peer id (12D3KooW…), or the node id of one that is known",
} as const;
const address = {
  type: "string",
  description:
    "Where it is: https://node.example:8443, or …#192.168.1.100 behind a name of its own",
} as const;

const mostStrangers = 20;

const list = command({
  name: "peers list",
  description: "List known nodes, and which of them are trusted",
  examples: ["smartdash peers list", "smartdash peers list --json"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, (app) => peerViews(app, ownNode(app).peerId));
    if (rows.length === 0) {
      return { json: { peers: rows }, talk: "No node is known. smartdash discovery peers looks." };
    }
    const strangers = rows.filter(({ trust: decided }) => decided === null);
    const shown = rows.filter((each) => !strangers.slice(mostStrangers).includes(each));
    const hidden = rows.length - shown.length;
    return {
      json: { peers: rows },
      text: shown.map(peerBlock).join("\n"),
      talk: hidden === 0 ? "" : `${hidden} more that are not trusted: --json lists them.`,
    };
  },
});

const connect = command({
  name: "peers connect",
  description: "Authenticate a node mutually; this alone trusts nobody",
  examples: [
    "smartdash peers connect swift-fox-0dd9b9",
    "smartdash peers connect 12D3KooW… --address https://node.example:8443",
  ],
  args: { peer, address },
  run: async ({ peer: name, address: given }) => {
    const typed = given === undefined ? undefined : expectAddress(given);
    const work = withApp({ role: "command" }, async (app) => {
      const self = selfOf(app);
      const peerId = await peerIdOf(app, self.node.peerId, name);
      const own = self.node.peerId;
      return { own, connected: await connectPeer(app, self, { peerId, typed }) };
    });
    const { connected, own } = await patiently(() => "Asking the node to prove itself", work);
    const done = { ...connectionView(connected), own_peer_id: own };
    const hints = [
      ...(done.trusted ? [] : [`Not trusted here: smartdash peers trust ${done.peer_id}`]),
      ...(done.trusts_us
        ? []
        : [`It does not trust this node: there, smartdash peers trust ${done.own_peer_id}`]),
      ...(done.trusts_us && done.resource === null
        ? ["It has no MCP server for this node: there, smartdash peers trust … --upstream NAME"]
        : []),
    ];
    return {
      json: done,
      text: `${done.node_id} has proven itself at ${done.address}.`,
      talk: hints.join("\n"),
    };
  },
});

const trust = command({
  name: "peers trust",
  description: "Trust a node: pin its key, and set what it may do here",
  examples: [
    "smartdash peers trust 12D3KooW…",
    "smartdash peers trust 12D3KooW… --address https://node.example:8443 --upstream shop --scope mcp:read,mcp:call",
  ],
  args: {
    peer: { ...peer, description: "Its whole peer id: smartdash node show prints it, there" },
    address,
    certificate: { type: "string", description: "SHA-256 of its certificate, in hex" },
    scope: {
      type: "string",
      description: "Scopes it may have here, separated by spaces or commas; all unless said",
    },
    upstream: {
      type: "string",
      description: "MCP server that it may use; the default one unless said",
    },
    account: { type: "string", description: "Account that it acts on: an id, or PROVIDER:SELLER" },
  },
  run: async ({ peer: peerId, scope, upstream, account, certificate, address: given }) => {
    if (certificate !== undefined && !/^([\da-f]{2}:?){32}$/i.test(certificate)) {
      throw new Failure("usage", "--certificate takes 64 hex digits", {
        hint: "smartdash node show prints them, there",
      });
    }
    const { nodeId, done } = await withApp({ role: "command" }, async (app) => {
      const own = ownNode(app).peerId;
      const wanted = {
        peerId,
        address: given,
        certificate,
        scope: scope?.replaceAll(",", " ") ?? "",
        upstreams: upstream === undefined ? [] : [upstream],
        account,
      };
      let trusted = "";
      const acknowledged = await untilAcknowledged(app, async () => {
        trusted = (await trustPeer(app, own, wanted)).nodeId;
        return [peerTopic(own, peerId)];
      });
      return { nodeId: trusted, done: acknowledged };
    });
    const told = acknowledgedOutcome(done);
    const next =
      "It has to trust this node too before calls go there: smartdash peers trust, there.";
    return {
      json: { node_id: nodeId, peer_id: peerId, trust: "pinned", ...told.json },
      text: `${nodeId} is trusted. ${told.text}`,
      talk: [next, ...told.talk].join("\n"),
      ...told.exit,
    };
  },
});

const forget = command({
  name: "peers forget",
  description:
    "Trust a node no more, also when it has the fleet key; ends what it had on every gateway",
  examples: ["smartdash peers forget swift-fox-0dd9b9"],
  args: { peer },
  run: async ({ peer: name }) => {
    const { peerId, hasFleetKey, done } = await withApp({ role: "command" }, async (app) => {
      const own = ownNode(app).peerId;
      let forgotten = "";
      const acknowledged = await untilAcknowledged(app, async () => {
        forgotten = await forgetPeer(app, own, name);
        return [peerTopic(own, forgotten)];
      });
      const { fleetKey } = app.config.edge;
      return { peerId: forgotten, hasFleetKey: fleetKey !== undefined, done: acknowledged };
    });
    const told = acknowledgedOutcome(done);
    const isOpen = "Whoever has SMARTDASH_FLEET_KEY can come back with a new key: change it.";
    return {
      json: { peer_id: peerId, trust: "forgotten", ...told.json },
      text: `${name} is not trusted any more, and what it had has ended. ${told.text}`,
      talk: [...(hasFleetKey ? [isOpen] : []), ...told.talk].join("\n"),
      ...told.exit,
    };
  },
});

export const peers = group({
  name: "peers",
  description: "Manage other nodes: which are known and trusted",
  subCommands: { list, connect, trust, forget },
});
