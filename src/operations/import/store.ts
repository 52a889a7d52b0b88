import { and, eq } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { imports } from "#db/schema/operations.ts";
import { people } from "#db/schema/people.ts";
import type { NewAccount } from "#src/accounts/store.ts";
import { codeOf } from "#src/failure.ts";

export type Import = typeof imports.$inferSelect;
type Key = Pick<Import, "source" | "objectId">;

export async function importOf(db: Database, key: Key): Promise<Import | undefined> {
  const [row] = await db.select().from(imports).where(isRow(key));
  return row;
}

/**
 * Stores a person, their account and that it was taken over, in one transaction: from here on the refresh token is
 * ours to use. False when another run has taken this row.
 */
export async function saveImported(db: Database, key: Key, account: NewAccount): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const taken = await transaction
      .insert(imports)
      .values({ ...key, outcome: "pending" })
      .onConflictDoNothing()
      .returning({ objectId: imports.objectId });
    if (taken.length === 0) return false;
    await transaction.insert(people).values({ id: account.personId });
    await transaction.insert(accounts).values({ ...account, state: "active" });
    await transaction.update(imports).set({ accountId: account.id }).where(isRow(key));
    return true;
  });
}

function isRow({ source, objectId }: Key) {
  return and(eq(imports.source, source), eq(imports.objectId, objectId));
}

export async function saveOutcome(
  db: Database,
  key: Key,
  outcome: Import["outcome"],
): Promise<void> {
  await db.update(imports).set({ outcome }).where(isRow(key));
}

export type Proven = {
  readonly id: string;
  /** What stood for the seller until the provider has said who it is. */
  readonly placeholder: string;
  readonly identity: {
    readonly sellerId: string;
    readonly label: string | null;
    readonly site: string | null;
  };
};

/**
 * Writes down who the provider says it is, in place of the placeholder. `known` when that seller has another live
 * account; `changed` when this one is no longer the one that was asked about.
 */
export async function saveIdentity(
  db: Database,
  { id, placeholder, identity }: Proven,
): Promise<"saved" | "known" | "changed"> {
  try {
    const saved = await db
      .update(accounts)
      .set(identity)
      .where(and(eq(accounts.id, id), eq(accounts.sellerId, placeholder)))
      .returning({ id: accounts.id });
    return saved.length === 1 ? "saved" : "changed";
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (codeOf(cause) === "23505") return "known";
    throw error;
  }
}
