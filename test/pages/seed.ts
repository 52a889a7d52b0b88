import { sql } from "drizzle-orm";
import { calls } from "#db/schema/calls.ts";
import { newId } from "#src/crypto/ids.ts";
import type { World } from "#test/support/world.ts";

export type SeededCall = Partial<typeof calls.$inferInsert> & { readonly at: Date };

/** The only grant, its person and its account. */
export async function ownerOf({ app }: World): Promise<{
  readonly grantId: string;
  readonly policyId: string;
  readonly personId: string;
  readonly accountId: string;
}> {
  const [row] = await app.db.execute<Awaited<ReturnType<typeof ownerOf>>>(sql`
    select id as "grantId", policy_id as "policyId", person_id as "personId", account_id as "accountId"
    from grants order by id desc limit 1`);
  if (row === undefined) throw new Error("there is no grant");
  return row;
}

/** Puts calls into the audit trail as they are, without a chain. */
export async function seedCalls({ app }: World, rows: readonly SeededCall[]): Promise<void> {
  await app.db.insert(calls).values(
    rows.map((row, index) => ({
      id: newId(row.at),
      requestId: `seeded-${index}`,
      upstream: "mercadolibre",
      httpMethod: "POST",
      rpcMethod: "tools/call",
      name: "list_orders",
      status: 200,
      upstreamStatus: 200,
      durationMs: 120,
      ...row,
    })),
  );
}

/** Days of calls for the charts, up to yesterday: of each day so many, and of these so many refused. */
export async function seedCounts(
  { app }: World,
  whose: { readonly caller: string; readonly account: string },
  days: readonly (readonly [calls: number, refused: number])[],
): Promise<void> {
  for (const [index, [count, refused]] of days.entries()) {
    const ago = days.length - index;
    for (const [guard, number] of [
      ["", count - refused],
      ["rate_limited", refused],
    ] as const) {
      if (number === 0) continue;
      await app.db.execute(sql`
        insert into call_counts (span, slot, upstream, caller, account, guard, calls, failed, durations)
        values ('day', date_trunc('day', now(), 'UTC') - ${ago}::int * interval '1 day', 'mercadolibre', ${whose.caller},
          ${whose.account}, ${guard}, ${number}, 0, array_fill(0, array[12]))`);
    }
  }
}
