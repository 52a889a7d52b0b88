// Written by scripts/embed.ts after drizzle-kit; a test compares it with the folder.
import sql0 from "./0000_first.sql" with { type: "text" };
import sql1 from "./0001_authorization_server.sql" with { type: "text" };
import sql2 from "./0002_crash_safe_rotation.sql" with { type: "text" };
import sql3 from "./0003_operations.sql" with { type: "text" };
import sql4 from "./0004_guards.sql" with { type: "text" };
import sql5 from "./0005_edge.sql" with { type: "text" };
import sql6 from "./0006_replicas.sql" with { type: "text" };
import sql7 from "./0007_policy_ids.sql" with { type: "text" };
import sql8 from "./0008_call_failures.sql" with { type: "text" };
import sql9 from "./0009_old_grant_subjects.sql" with { type: "text" };
import sql10 from "./0010_optional_refresh_token.sql" with { type: "text" };
import sql11 from "./0011_node_names.sql" with { type: "text" };
import sql12 from "./0012_tool_writes.sql" with { type: "text" };
import sql13 from "./0013_console.sql" with { type: "text" };
import sql14 from "./0014_check_reports.sql" with { type: "text" };

export const migrations = [
  { name: "0000_first", sql: sql0 },
  { name: "0001_authorization_server", sql: sql1 },
  { name: "0002_crash_safe_rotation", sql: sql2 },
  { name: "0003_operations", sql: sql3 },
  { name: "0004_guards", sql: sql4 },
  { name: "0005_edge", sql: sql5 },
  { name: "0006_replicas", sql: sql6 },
  { name: "0007_policy_ids", sql: sql7 },
  { name: "0008_call_failures", sql: sql8 },
  { name: "0009_old_grant_subjects", sql: sql9 },
  { name: "0010_optional_refresh_token", sql: sql10 },
  { name: "0011_node_names", sql: sql11 },
  { name: "0012_tool_writes", sql: sql12 },
  { name: "0013_console", sql: sql13 },
  { name: "0014_check_reports", sql: sql14 },
] as const;
