import { and, eq, gt } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { reviewKeys } from "#db/schema/guards.ts";
import { fingerprint } from "#src/crypto/secret.ts";

/** What a browser may do at the operator's pages: everything, or look at all but the arguments of calls. */
export const roles = ["operator", "auditor"] as const;
export type Role = (typeof roles)[number];

type Key = typeof reviewKeys.$inferInsert;

export async function saveKey(db: Pick<Database, "insert">, key: Key): Promise<void> {
  await db.insert(reviewKeys).values(key);
}

/** Takes a link and puts a browser's key in its place. False when the link is unknown, was used or is too old. */
export async function takeLink(
  db: Database,
  used: { readonly code: string; readonly browser: Key; readonly now: Date },
): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const [taken] = await transaction
      .delete(reviewKeys)
      .where(isOpenKey("console_link", used.code, used.now))
      .returning({ role: reviewKeys.role, subject: reviewKeys.subject });
    if (taken === undefined) return false;
    await saveKey(transaction, { ...used.browser, ...taken });
    return true;
  });
}

/** The key of a link or a browser that is not over. */
export async function openKey(
  db: Database,
  ...key: Parameters<typeof isOpenKey>
): Promise<{ readonly role: Role; readonly subject: string } | undefined> {
  const { role, subject } = reviewKeys;
  const [found] = await db
    .select({ role, subject })
    .from(reviewKeys)
    .where(isOpenKey(...key));
  return found;
}

function isOpenKey(kind: Key["kind"], value: string, now: Date) {
  return and(
    eq(reviewKeys.fingerprint, fingerprint(value)),
    eq(reviewKeys.kind, kind),
    gt(reviewKeys.expiresAt, now),
  );
}

export async function removeKey(db: Database, cookie: string): Promise<void> {
  await db.delete(reviewKeys).where(eq(reviewKeys.fingerprint, fingerprint(cookie)));
}
