/** What goes wrong between nodes. */
export const edgeFailures = {
  node_unknown: {
    http: 404,
    doc: "This node is not called that, and knows no node that is and that it trusts. `smartdash node show` says what it is called, `smartdash peers list` whom it trusts.",
  },
  peer_unknown: {
    http: 404,
    exit: 1,
    doc: "No node of this name has been found, and none is trusted. Give its whole peer id and where it is: `smartdash peers connect PEER_ID --address https://…`.",
  },
  peer_unreachable: {
    http: 502,
    exit: 75,
    doc: "The node answers at none of the addresses that are known of it. Is it on, and is its address right?",
  },
  peer_insecure: {
    http: 502,
    exit: 1,
    doc: "The node is to be reached over http, or at an address that only it could have named. Nodes speak https with each other, except on this very machine; an address that you type yourself (`--address`) may be any.",
  },
  peer_not_proven: {
    http: 502,
    exit: 1,
    doc: "What answers at the node's address is not that node: its names, its signature, its certificate or its address are not what they have to be. Nothing but our public document was sent to it. Has its key been rotated? Then forget the old peer id and trust the new one.",
  },
  peer_not_trusted: {
    http: 403,
    exit: 1,
    doc: "The node is who it says it is, but it is not trusted here, or this node is not trusted there: `smartdash peers trust PEER_ID` on both.",
  },
  challenge_refused: {
    http: 403,
    doc: "The answer to a challenge was wrong, late (10 seconds) or not the first one. Begin anew.",
  },
} as const;
