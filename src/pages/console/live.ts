import { setTimeout as sleep } from "node:timers/promises";
import type { StoredCall } from "#src/proxy/call-store.ts";
import { Failure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { ConsoleDeps } from "./deps.ts";
import { type CallsQuery, callCells, findCalls } from "./calls.ts";

/**
 * The console's only script: times in the reader's zone, and rows of the calls page as they come. It makes text, never
 * markup. Every page works without it.
 */
export const liveScript = `"use strict";
const local = (time) => {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.textContent = at.toLocaleString();
};
for (const time of document.querySelectorAll("time[datetime]")) local(time);
const place = document.querySelector("[data-live]");
const rows = document.querySelector("tbody");
if (place && rows && "EventSource" in window) {
  const details = rows.querySelector("td:last-child a")?.textContent ?? "…";
  const source = new EventSource(place.dataset.live);
  const cell = (row, text, name) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (name) made.className = name;
    row.append(made);
    return made;
  };
  source.onmessage = ({ data }) => {
    const call = JSON.parse(data);
    const row = document.createElement("tr");
    const time = document.createElement("time");
    time.dateTime = time.title = call.at;
    local(time);
    cell(row, "").append(time);
    cell(row, call.outcome, call.mood);
    cell(row, call.upstream);
    cell(row, call.what);
    cell(row, call.who, "code");
    cell(row, call.took, "number");
    const link = document.createElement("a");
    link.href = call.href;
    link.textContent = details;
    cell(row, "").append(link);
    rows.prepend(row);
    while (rows.children.length > 500) rows.lastElementChild.remove();
  };
}
`;

/** The database is asked so often while somebody looks, and by nobody else. */
const everyMs = 1000;
/** A call is written down when it is over, a batch at a time: rows may come that began before others. */
const overlapMs = 120_000;
const [mostTails, mostRows, mostRemembered, longestMs] = [20, 100, 2000, 10 * 60_000];
let tails = 0;

/**
 * Calls of every replica as server-sent events, from now on, for ten minutes; browsers ask again by themselves. At most
 * twenty at once on a replica. Failures: `too_many_requests`.
 */
export function callTail(
  app: Pick<ConsoleDeps, "db" | "now" | "log" | "isDraining">,
  asked: CallsQuery,
  { isAllowed, after }: Pick<Tail, "isAllowed" | "after">,
): Response {
  if (tails >= mostTails) throw new Failure("too_many_requests");
  const stopped = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      tails += 1;
      void follow(app, asked, { controller, stopped: stopped.signal, isAllowed, after }).finally(
        () => {
          tails -= 1;
        },
      );
    },
    cancel: () => stopped.abort(),
  });
  const headers = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  };
  return new Response(body, { headers });
}

type Tail = {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly stopped: AbortSignal;
  /** Whether the browser may still look. */
  readonly isAllowed: () => Promise<boolean>;
  /** Id of the newest call that the page has shown. */
  readonly after: string | undefined;
};

async function follow(
  app: Pick<ConsoleDeps, "db" | "now" | "log" | "isDraining">,
  asked: CallsQuery,
  { controller, stopped, isAllowed, after }: Tail,
): Promise<void> {
  const endsAt = app.now().getTime() + longestMs;
  const encoder = new TextEncoder();
  const send = (text: string) => controller.enqueue(encoder.encode(text));
  const isOver = () => stopped.aborted || app.now().getTime() >= endsAt || app.isDraining();
  // Whoever does not read is not written to.
  const isStuck = () => (controller.desiredSize ?? 0) < -mostRows;
  let seen = new Set<string>();
  const turnOver = async (turn: number) => {
    const found = await findCalls(app, asked, { most: mostRows, sinceMs: overlapMs });
    // What the page has shown already is not sent again.
    const isNews = ({ id }: StoredCall) =>
      !seen.has(id) && (turn > 0 || (after !== undefined && id > after));
    for (const call of found.filter(isNews).toReversed()) {
      send(`data: ${JSON.stringify(callCells(call))}\n\n`);
    }
    seen = new Set([...[...seen].slice(-mostRemembered), ...found.map(({ id }) => id)]);
  };
  try {
    send("retry: 3000\n\n");
    // The hour of a browser may be over, or its operator may have left.
    for (
      let turn = 0;
      !isOver() && !isStuck() && (turn % 15 < 14 || (await isAllowed()));
      turn += 1
    ) {
      await turnOver(turn);
      await sleep(everyMs, undefined, { signal: stopped, ref: false }).catch(() => undefined);
    }
  } catch (error) {
    app.log.lasting("console_tail_failed", errorFields(error));
  }
  if (!stopped.aborted) controller.close();
}
