import type { CallRow, EncodedRows } from "#src/proxy/call-store.ts";
import { digestOf, rowText } from "#src/proxy/record.ts";

/** Rows of the audit trail as the gateway sends them. */
export function encodedRows(rows: readonly (CallRow & { readonly id: string })[]): EncodedRows {
  const texts = rows.map(rowText);
  return { ids: rows.map(({ id }) => id), texts, digests: texts.map(digestOf) };
}
