#!/bin/sh
# Recipe 1: the fleet runs, every node knows the others, and says what it is.
# Needs curl and jq, and what `npm run fleet -- --keep` prints: SMARTDASH, HOME_1 to HOME_3, URL_1 to URL_3.
set -eu
: "${SMARTDASH:?is printed by: npm run fleet -- --keep}"
on() { env SMARTDASH_HOME="$1" SMARTDASH_EDGE=on SMARTDASH_EDGE_INTERFACE=127.0.0.1 $SMARTDASH "$2" "$3" --json; }

# They announce themselves when they start, and once a minute.
known=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
  known=$(on "$HOME_1" peers list | jq '.peers | length')
  [ "$known" -ge 2 ] && break
  sleep 1
done
echo "node-1 knows $known other nodes"
[ "$known" -ge 2 ]

for number in 1 2 3; do
  eval "home=\$HOME_$number url=\$URL_$number"
  node=$(on "$home" node show | jq -r .nodeId)
  said=$(curl -sfk "$url/mcp/node/$node/info" | jq -r .node_id)
  echo "node-$number at $url is $said"
  [ "$said" = "$node" ]
done
