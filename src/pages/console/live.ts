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
// Some languages have a clock of twelve hours without saying which half of the day.
const format = { dateStyle: "short", timeStyle: "medium", hourCycle: "h23" };
const local = (time) => {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.textContent = at.toLocaleString(undefined, format);
};
for (const time of document.querySelectorAll("time[datetime]")) local(time);
const place = document.querySelector("[data-live]");
const rows = document.querySelector("tbody");
if (place && rows && "EventSource" in window) {
  const details = place.dataset.details;
  const source = new EventSource(place.dataset.live);
  // What is said about browsers without a script is not about this one.
  source.onopen = () => place.querySelector("span")?.remove();
  const cell = (row, text, name) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (name) made.className = name;
    row.append(made);
    return made;
  };
  const known = new Set(Array.from(rows.querySelectorAll("a"), (link) => link.pathname));
  source.onmessage = ({ data }) => {
    const call = JSON.parse(data);
    if (known.has(call.href)) return;
    known.add(call.href);
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
/** Calls are written down when they are over, a batch at a time: those that ended so long ago are looked for. */
const overlapMs = 60_000;
/** Every tenth time those are looked for that had begun so long before. */
const [longestCallMs, longTurns] = [15 * 60_000, 10];
const [mostTails, mostTailsOfOne, mostRows, mostRemembered] = [20, 4, 500, 5000];
const longestMs = 10 * 60_000;
/** How many there are, by the browser that looks. */
const tails = new Map<string, number>();

/**
 * Calls of every replica as server-sent events, from now on, for ten minutes; browsers ask again by themselves. At most
 * twenty at once on a replica, four of one browser. Failures: `too_many_requests`.
 */
export function callTail(
  app: TailDeps,
  asked: CallsQuery,
  { isAllowed, after, browser }: Pick<Tail, "isAllowed" | "after"> & { readonly browser: string },
): Response {
  const own = tails.get(browser) ?? 0;
  const all = [...tails.values()].reduce((sum, each) => sum + each, 0);
  if (all >= mostTails || own >= mostTailsOfOne) throw new Failure("too_many_requests");
  const stopped = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      tails.set(browser, own + 1);
      void follow(app, asked, { controller, stopped: stopped.signal, isAllowed, after }).finally(
        () => {
          const left = (tails.get(browser) ?? 1) - 1;
          if (left > 0) tails.set(browser, left);
          else tails.delete(browser);
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

type TailDeps = Pick<ConsoleDeps, "db" | "now" | "log" | "isDraining">;

type Tail = {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly stopped: AbortSignal;
  /** Whether the browser may still look. */
  readonly isAllowed: () => Promise<boolean>;
  /** Id of the newest call that the page has shown. */
  readonly after: string | undefined;
};

async function follow(
  app: TailDeps,
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
  const lookAgain = async (turn: number) => {
    const isLong = turn % longTurns === longTurns - 1;
    const window = { endedMs: overlapMs, sinceMs: isLong ? longestCallMs : overlapMs };
    const found = await findCalls(app, asked, { most: mostRows, ...window });
    // What the page has shown already is not sent again.
    const isNews = ({ id }: StoredCall) =>
      !seen.has(id) && (turn > 0 || (after !== undefined && id > after));
    for (const call of found.filter(isNews).toReversed()) {
      send(`id: ${call.id}\ndata: ${JSON.stringify(callCells(call))}\n\n`);
    }
    seen = new Set([...[...seen].slice(-mostRemembered), ...found.map(({ id }) => id)]);
  };
  try {
    send("retry: 3000\n\n");
    // The hour of a browser may be over, or its operator may have left.
    for (let turn = 0; !isOver() && !isStuck() && (await isAllowed()); turn += 1) {
      await lookAgain(turn);
      await sleep(everyMs, undefined, { signal: stopped, ref: false }).catch(() => undefined);
    }
  } catch (error) {
    app.log.lasting("console_tail_failed", errorFields(error));
  }
  if (!stopped.aborted) controller.close();
}
