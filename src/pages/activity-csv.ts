import type { App } from "#src/app.ts";
import { timely } from "#src/clock.ts";
import { outcomeOf } from "#src/proxy/call-outcome-store.ts";
import { type CallsWanted, type PersonCall, callsOfPerson } from "#src/proxy/person-call-store.ts";
import { type Told, agentNameIn, whatWasCalled } from "./activity-rows.ts";
import { say } from "./words.ts";

/** Rows of a download. */
export const mostCsvRows = 10_000;
const [pageRows, mostPages] = [1000, 100];

const columns: readonly (readonly [string, (told: Told, call: PersonCall) => unknown])[] = [
  ["time", (_, { at }) => at.toISOString()],
  ["agent", ({ language }, call) => agentNameIn(language, call)],
  ["account", ({ accounts }, { accountId }) => accounts.get(accountId ?? "")],
  ["server", (_, { upstream }) => upstream],
  ["method", (_, { rpcMethod }) => rpcMethod],
  ["what", (told, call) => whatWasCalled(told, call).title],
  ["tool", (_, { name }) => name],
  ["outcome", (_, call) => outcomeOf(call)],
  ["guard", (_, { guard }) => guard],
  ["failure", (_, { failure }) => failure],
  ["http_status", (_, { status }) => status],
  ["duration_ms", (_, { durationMs }) => durationMs],
  ["request_id", (_, { requestId }) => requestId],
];

/** Calls as a download, page by page as the browser takes them; the last line says when there were more. */
export async function callsAsCsv(
  app: Pick<App, "db">,
  told: Told,
  wanted: Omit<CallsWanted, "most">,
): Promise<Response> {
  const read = (before: string | undefined) =>
    timely(callsOfPerson(app.db, { ...wanted, before, most: pageRows }));
  // What cannot be read at all is a page that says so, and not half a file.
  let page = await read(wanted.before);
  let [rows, pages] = [0, 0];
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(csvLine(columns.map(([name]) => name))));
    },
    async pull(controller) {
      const lines = page.rows.map((call) => csvLine(columns.map(([, cell]) => cell(told, call))));
      [rows, pages] = [rows + lines.length, pages + 1];
      const isFull = rows >= mostCsvRows || pages >= mostPages;
      const isOver = page.next === undefined;
      if (isFull && !isOver) lines.push(csvLine([say(told.language, "csv_cut")]));
      if (lines.length > 0) controller.enqueue(encoder.encode(lines.join("")));
      if (isFull || isOver) controller.close();
      else page = await read(page.next);
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": 'attachment; filename="smartdash-activity.csv"',
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}

/** A line of RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe instead. */
export function csvLine(cells: readonly unknown[]): string {
  return `${cells.map(csvCell).join(",")}\r\n`;
}

/** Also behind what spreadsheets of many countries separate cells with. */
const formulaStart = /(^|[;\t\r\n])(?=[=+\-@\t\r])/g;

function csvCell(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = typeof value === "string" ? value.replace(formulaStart, "$1'") : "";
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
