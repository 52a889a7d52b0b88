import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { calls } from "#db/schema/calls.ts";
import { people } from "#db/schema/people.ts";

export type CallRow = typeof calls.$inferInsert;

/** Adds a batch in one statement; rows of a person who has been deleted meanwhile are left out. */
export async function saveCalls(db: Database, rows: readonly CallRow[]): Promise<void> {
  const json = JSON.stringify(rows);
  await db.execute(sql`
    insert into ${calls} (id, at, person_id, account_id, session_id, grant_id, agent_id, request_id, upstream, http_method,
      rpc_method, name, status, upstream_status, duration_ms)
    select r.id, r.at, r."personId", r."accountId", r."sessionId", r."grantId", r."agentId", r."requestId", r.upstream, r."httpMethod",
      r."rpcMethod", r.name, r.status, r."upstreamStatus", r."durationMs"
    from jsonb_to_recordset(${json}::text::jsonb) as r(id uuid, at timestamptz, "personId" uuid, "accountId" uuid,
      "sessionId" uuid, "grantId" uuid, "agentId" uuid, "requestId" text, upstream text, "httpMethod" text, "rpcMethod" text, name text,
      status int, "upstreamStatus" int, "durationMs" int)
    where r."personId" is null or exists (select 1 from ${people} p where p.id = r."personId")`);
}
