import type { App } from "#src/app.ts";
import { deriveKey } from "#src/crypto/seal.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { type Batch, batchesOf, callsBetween, digestOf } from "./call-store.ts";
import { chainWith, rowText } from "./record.ts";

const digestBytes = 32;
const dayMs = 86_400_000;
const pageRows = 5000;

type Verified = {
  readonly day: string;
  readonly batches: number;
  readonly calls: number;
  /** Links that do not fit: batches that were changed, removed or put in. */
  readonly broken: number;
  /** Rows that are not as they were written, or were never written by a gateway. */
  readonly changed: number;
  /** Rows that were written and are not there any more. */
  readonly missing: number;
};

/**
 * Whether the calls of a day (UTC, `2026-11-26`) are as they were written, and the chain goes on before and after it.
 * Failures: `usage` for what is no day, and for one whose calls are not kept any more.
 */
export async function verifyDay(app: Deps, day: string): Promise<Verified> {
  const start = dayStart(app, day);
  const next = new Date(start.getTime() + dayMs).toISOString().slice(0, 10);
  const { batches, before, after } = await timely(batchesOf(app.db, [day]));
  const written = new Set(batches.flatMap(digestsIn));
  const unknown = new Set<string>();
  let calls = 0;
  for await (const row of rowsAround(app, start)) {
    const digest = digestOf(rowText(row)).toString("base64");
    if (written.delete(digest)) calls += 1;
    else if (isOfDay(row.at, start)) unknown.add(digest);
  }
  // What was written after midnight, and what is being written now.
  const later = await timely(batchesOf(app.db, [day, next]));
  for (const digest of later.batches.flatMap(digestsIn)) unknown.delete(digest);
  const broken =
    brokenLinks(app, before, batches) + Number(!goesOn(batches.at(-1) ?? before, after));
  const counts = { calls, broken, changed: unknown.size, missing: written.size };
  return { day, batches: batches.length, ...counts };
}

type Deps = Pick<App, "db" | "bindingKey" | "config" | "now">;

function dayStart(app: Deps, day: string): Date {
  const start = new Date(`${day}T00:00:00Z`);
  // JavaScript takes the 31st of November for the 1st of December.
  const isDay = !Number.isNaN(start.getTime()) && start.toISOString().slice(0, 10) === day;
  if (!isDay) {
    throw new Failure("usage", `${day} is no day`, { hint: "A day is written 2026-11-26 (UTC)" });
  }
  if (start.getTime() > app.now().getTime() + dayMs) {
    throw new Failure("usage", `${day} has not begun`, {
      hint: "A day is written 2026-11-26 (UTC)",
    });
  }
  const keptMs = (app.config.retention.callsDays - 1) * dayMs;
  if (app.now().getTime() - start.getTime() <= keptMs) return start;
  throw new Failure("usage", `Calls of ${day} are not kept any more`, {
    hint: "SMARTDASH_KEEP_CALLS_DAYS says how long they are; verify a day before it goes",
  });
}

/** How many batches are not what their own link says, or do not follow from the one before them. */
function brokenLinks(app: Deps, before: Batch | undefined, batches: readonly Batch[]): number {
  const keys = chainKeys(app);
  let previous = before;
  let broken = 0;
  for (const batch of batches) {
    const isItself = keys.some((key) =>
      Buffer.from(batch.link).equals(chainWith(key)(batch.before ?? undefined, batch)),
    );
    // Retention takes the oldest batches: the first one that is left has nothing before it.
    const isFirstLeft = previous === undefined && isOld(app, batch);
    if (!isItself || !(isFirstLeft || goesOn(previous, batch))) broken += 1;
    previous = batch;
  }
  return broken;
}

/** Whether one batch follows the other; nothing follows the newest, nothing comes before the first. */
function goesOn(previous: Batch | undefined, batch: Batch | undefined): boolean {
  if (batch === undefined) return true;
  if (previous === undefined) return batch.seq === 1;
  const isNext = batch.seq === previous.seq + 1;
  return isNext && Buffer.from(batch.before ?? []).equals(Buffer.from(previous.link));
}

function isOld(app: Deps, { at }: Batch): boolean {
  const ageMs = app.now().getTime() - at.getTime();
  return ageMs > (app.config.retention.callsDays - 1) * dayMs;
}

/** Calls of the day, and those of the end of the day before that were written in this one. */
async function* rowsAround(app: Pick<App, "db">, start: Date) {
  const [from, to] = [new Date(start.getTime() - dayMs), new Date(start.getTime() + dayMs)];
  let afterId = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const rows = await timely(callsBetween(app.db, { from, to, afterId, most: pageRows }));
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    afterId = last.id;
  }
}

function isOfDay(at: Date, start: Date): boolean {
  return at.getTime() >= start.getTime() && at.getTime() < start.getTime() + dayMs;
}

function digestsIn({ digests }: Batch): readonly string[] {
  const bytes = Buffer.from(digests);
  return Array.from({ length: bytes.length / digestBytes }, (_, index) =>
    bytes.subarray(index * digestBytes, (index + 1) * digestBytes).toString("base64"),
  );
}

/** The present key, and those from before a rotation that are still configured. */
function chainKeys({ bindingKey, config }: Pick<App, "bindingKey" | "config">) {
  const others = [
    ...config.encryptionKeys,
    ...(config.secretKey === undefined ? [] : [config.secretKey]),
  ];
  return [bindingKey, ...others.map((key) => deriveKey(key, "bindings"))];
}
