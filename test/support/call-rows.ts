import { type CallRow, type EncodedRows, WaitingRows } from "#src/proxy/call-store.ts";
import { rowText } from "#src/proxy/record.ts";

/** Rows of the audit trail as the gateway sends them. */
export function encodedRows(rows: readonly (CallRow & { readonly id: string })[]): EncodedRows {
  const waiting = new WaitingRows();
  for (const row of rows) waiting.add(rowText(row));
  return waiting.first(rows.length);
}
