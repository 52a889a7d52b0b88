#!/bin/sh
# Recipe 3: one node says that it is here, another finds it, and both prove to each other who they are.
set -eu
: "${SMARTDASH:?is printed by: npm run fleet -- --keep}"
on() { home=$1; shift; env SMARTDASH_HOME="$home" SMARTDASH_EDGE=on SMARTDASH_EDGE_INTERFACE=127.0.0.1 SMARTDASH_FLEET_KEY="$FLEET_KEY" $SMARTDASH "$@" --json; }

on "$HOME_1" discovery announce | jq -r '"node-1 is announced as \(.node_id)"'
peer=$(on "$HOME_1" node show | jq -r .peerId)

found=$(on "$HOME_2" discovery peers | jq -r --arg peer "$peer" '.peers[] | select(.peer_id == $peer) | .node_id')
echo "node-2 has found $found"
[ -n "$found" ]

on "$HOME_2" peers connect "$peer" | jq -r '"proven: \(.proven), trusted: \(.trusted), trusts us: \(.trusts_us)"'
