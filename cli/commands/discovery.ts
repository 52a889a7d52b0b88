import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "#src/failure.ts";
import { askToAnnounce } from "#src/edge/discovery/announce.ts";
import { createDirectory } from "#src/edge/discovery/directory.ts";
import { peerViews } from "#src/edge/discovery/view.ts";
import { ownNode } from "#src/edge/identity.ts";
import { command, group, withApp } from "../command.ts";
import { peerBlock } from "../peer-block.ts";
import { patiently } from "../terminal.ts";

const announce = command({
  name: "discovery announce",
  description: "Announce the running gateway on the network",
  examples: ["smartdash discovery announce"],
  args: {},
  run: async () => {
    const work = withApp({ role: "command" }, async (app) => {
      const node = ownNode(app);
      return { node, outcome: await askToAnnounce(app, node.peerId) };
    });
    const { node, outcome } = await patiently(() => "Asking the gateway", work);
    if (outcome === "unheard") {
      throw new Failure("not_found", "No gateway of this node answers", {
        hint: "Is it running, with SMARTDASH_EDGE=on and the same SMARTDASH_HOME?",
      });
    }
    const isAnnounced = outcome === "announced";
    return {
      json: { node_id: node.nodeId, peer_id: node.peerId, announced: isAnnounced },
      text: isAnnounced
        ? `${node.nodeId} is announced.`
        : `${node.nodeId} is announced in no way: SMARTDASH_EDGE_DISCOVERY is none, or none of its ways has started (discovery_not_started in the log).`,
      ...(isAnnounced ? {} : { exit: 1 as const }),
    };
  },
});

const defaultSeconds = 2;
const mostSeconds = 60;

const peers = command({
  name: "discovery peers",
  description: "Search the local network, and list the nodes that the gateway has discovered",
  examples: ["smartdash discovery peers", "smartdash discovery peers --seconds 5 --json"],
  args: {
    seconds: { type: "string", description: `How long to listen; ${defaultSeconds} unless said` },
  },
  run: async ({ seconds }) => {
    const wait = Number(seconds ?? defaultSeconds);
    if (!(wait >= 0 && wait <= mostSeconds)) {
      throw new Failure("usage", `--seconds takes a number up to ${mostSeconds}`);
    }
    const work = withApp({ role: "command" }, async (app) => {
      const node = ownNode(app);
      const { discovery, interface: only } = app.config.edge;
      if (discovery.has("mdns")) {
        const { openMdns } = await import("#src/edge/discovery/mdns.ts");
        const directory = createDirectory(app, node);
        const backend = openMdns(app, node, { directory, interface: only });
        await sleep(wait * 1000);
        await backend.stop();
        await directory.flush();
      }
      return await peerViews(app, node.peerId);
    });
    const found = await patiently(() => "Listening", work);
    const met = found.filter(({ via }) => via !== null);
    if (met.length === 0) return { json: { peers: met }, talk: "No other node has been met." };
    return {
      json: { peers: met },
      text: met.map(peerBlock).join("\n"),
      chat: "What is found is a hint: smartdash peers connect lets a node prove itself.",
    };
  },
});

export const discovery = group({
  name: "discovery",
  description: "Discover other nodes, and be discovered",
  subCommands: { announce, peers },
});
