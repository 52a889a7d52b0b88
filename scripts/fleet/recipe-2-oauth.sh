#!/bin/sh
# Recipe 2: an agent gets a token with its secret and calls a tool, with nothing but curl and jq.
set -eu
: "${SMARTDASH:?is printed by: npm run fleet -- --keep}"
made=$(env SMARTDASH_HOME="$HOME_1" SMARTDASH_EDGE=on $SMARTDASH agents add --name "Test agent" --json)

TOKEN=$(curl -sfk -X POST "$URL_1/mcp/auth/token" -H "Content-Type: application/json" \
  -d "$(echo "$made" | jq '{grant_type: "client_credentials", client_id, client_secret, scope: "mcp:read mcp:call"}')" |
  jq -r .access_token)

status=$(curl -sfk "$URL_1/mcp/tools/call" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
  -d '{"name": "get_status", "arguments": {}}' | jq -r .structuredContent.database.status)
echo "get_status: the database of node-1: $status"
[ "$status" = pass ]

# The same agent at node 1 calls a tool that only node 3 has.
node=$(env SMARTDASH_HOME="$HOME_3" $SMARTDASH node show --json | jq -r .nodeId)
answer=$(curl -sfk "$URL_1/mcp/node/$node/tools/call" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
  -d '{"name": "fetch_tool", "arguments": {"name": "hammer"}}' | jq -r '.content[0].text')
echo "fetch_tool at node-3, through node-1: $answer"
[ "$answer" = "Here is the hammer." ]
