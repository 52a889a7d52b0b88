import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";

/** Every column that holds sealed values. A test compares this list with the schema. */
export const sealedColumns = [
  { table: "accounts", column: "access_token" },
  { table: "accounts", column: "refresh_token" },
  { table: "signing_keys", column: "private_jwk" },
  { table: "connect_attempts", column: "verifier_sealed" },
  { table: "approvals", column: "arguments" },
] as const;

export type SealedColumn = (typeof sealedColumns)[number];

/** How many values of a column a key has sealed; `keyId` as the seal writes it, in hex. */
export type SealedCount = {
  readonly table: SealedColumn["table"];
  readonly column: SealedColumn["column"];
  readonly keyId: string;
  readonly count: number;
};

/** The id of the key stands in the four bytes behind the first. */
function keyIdOf({ column }: SealedColumn): SQL {
  return sql`encode(substring(${sql.identifier(column)} from 2 for 4), 'hex')`;
}

function isSealed({ column }: SealedColumn): SQL {
  return sql`length(${sql.identifier(column)}) > 0`;
}

export async function sealings(db: Database, place: SealedColumn): Promise<readonly SealedCount[]> {
  const rows = await db.execute<{ key_id: string; count: number }>(sql`
    select ${keyIdOf(place)} as key_id, count(*)::int as count from ${sql.identifier(place.table)}
    where ${isSealed(place)} group by 1 order by 1`);
  const { table, column } = place;
  return rows.map(({ key_id: keyId, count }) => ({ table, column, keyId, count }));
}

export type SealedValue = { readonly id: string; readonly value: Uint8Array };

/** The next values, by id, that another key than this one has sealed. */
export async function sealedByOthers(
  db: Database,
  place: SealedColumn,
  wanted: { readonly keyId: string; readonly after: string; readonly most: number },
): Promise<readonly SealedValue[]> {
  const rows = await db.execute<{ id: string; value: Uint8Array }>(sql`
    select id, ${sql.identifier(place.column)} as value from ${sql.identifier(place.table)}
    where ${isSealed(place)} and ${keyIdOf(place)} <> ${wanted.keyId} and id > ${wanted.after}::uuid
    order by id limit ${wanted.most}`);
  return [...rows];
}

/** False when the value was replaced meanwhile: whoever did has sealed it anew. */
export async function replaceSealed(
  db: Database,
  place: SealedColumn,
  change: { readonly id: string; readonly from: Uint8Array; readonly to: Uint8Array },
): Promise<boolean> {
  const column = sql.identifier(place.column);
  const rows = await db.execute(sql`
    update ${sql.identifier(place.table)} set ${column} = ${change.to}
    where id = ${change.id}::uuid and ${column} = ${change.from} returning id`);
  return rows.length === 1;
}
