/** What the node's own MCP server has, as the capability document names it. */
export const ownTools = ["get_status", "list_peers"] as const;
export const ownResources = ["edge-hive://logs/*", "edge-hive://peers"] as const;
