import { and, eq } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { imports } from "#db/schema/operations.ts";
import { people } from "#db/schema/people.ts";
import type { NewAccount } from "#src/accounts/store.ts";
import { codeOf } from "#src/failure.ts";

export type Import = typeof imports.$inferSelect;
type Key = Pick<Import, "source" | "objectId">;

export async function importOf(
  db: Database,
  { source, objectId }: Key,
): Promise<Import | undefined> {
  const [row] = await db
    .select()
    .from(imports)
    .where(and(eq(imports.source, source), eq(imports.objectId, objectId)));
  return row;
}

/**
 * Stores a person, their account and that it was taken over, in one transaction: from here on the refresh token is
 * ours to use. False when the seller has a live account already; that one stays as it is.
 */
export async function saveImported(db: Database, key: Key, account: NewAccount): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    await transaction.insert(people).values({ id: account.personId });
    const added = await transaction
      .insert(accounts)
      .values({ ...account, state: "active" })
      .onConflictDoNothing()
      .returning({ id: accounts.id });
    const isAdded = added.length === 1;
    if (!isAdded) await transaction.delete(people).where(eq(people.id, account.personId));
    await transaction.insert(imports).values({
      ...key,
      accountId: isAdded ? account.id : null,
      outcome: isAdded ? "pending" : "known",
    });
    return isAdded;
  });
}

export async function saveOutcome(
  db: Database,
  { source, objectId }: Key,
  outcome: Import["outcome"],
): Promise<void> {
  await db
    .update(imports)
    .set({ outcome })
    .where(and(eq(imports.source, source), eq(imports.objectId, objectId)));
}

/** Writes down who the provider says it is. False when that seller has another live account. */
export async function saveIdentity(
  db: Database,
  id: string,
  identity: {
    readonly sellerId: string;
    readonly label: string | null;
    readonly site: string | null;
  },
): Promise<boolean> {
  try {
    await db.update(accounts).set(identity).where(eq(accounts.id, id));
    return true;
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (codeOf(cause) === "23505") return false;
    throw error;
  }
}
