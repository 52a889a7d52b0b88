import { type SQL, and, eq, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { toolWrites } from "#db/schema/operations.ts";

/** What may be sent once only. `about` is a hash of its arguments. */
type Write = { readonly seller: string; readonly tool: string; readonly about: string };

const tenMinutes: SQL = sql`now() - interval '10 minutes'`;

/** Takes it, before anything is sent. Otherwise says how the earlier one of the last ten minutes ended. */
export async function beginWrite(
  db: Database,
  write: Write,
  pack: string,
): Promise<"ours" | "sent" | "done"> {
  const [taken] = await db
    .insert(toolWrites)
    .values({ ...write, pack })
    .onConflictDoUpdate({
      target: [toolWrites.pack, toolWrites.seller, toolWrites.tool, toolWrites.about],
      set: { state: "sent", at: sql`now()` },
      setWhere: sql`${toolWrites.at} < ${tenMinutes} or ${toolWrites.state} = 'refused'`,
    })
    .returning({ state: toolWrites.state });
  if (taken !== undefined) return "ours";
  const [known] = await db
    .select({ state: toolWrites.state })
    .from(toolWrites)
    .where(where(write, pack));
  return known?.state === "done" ? "done" : "sent";
}

/** How it ended: `refused` may be tried again at once. */
export async function endWrite(
  db: Database,
  write: Write,
  { pack, state }: { readonly pack: string; readonly state: "done" | "refused" },
): Promise<void> {
  await db.update(toolWrites).set({ state }).where(where(write, pack));
}

function where({ seller, tool, about }: Write, pack: string): SQL | undefined {
  return and(
    eq(toolWrites.pack, pack),
    eq(toolWrites.seller, seller),
    eq(toolWrites.tool, tool),
    eq(toolWrites.about, about),
  );
}
