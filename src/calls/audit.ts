import { createHash, createHmac } from "node:crypto";
import type { App } from "#src/app.ts";
import { deriveKey } from "#src/crypto/seal.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { type Batch, type CallRow, type Chain, batchesOf, callsBetween } from "./store.ts";

const digestBytes = 32;
const dayMs = 86_400_000;
const pageRows = 5000;

/**
 * The chain of calls: each batch holds a digest of each of its rows, and an HMAC over these and the link before it.
 * Whoever changes, adds or removes a row, also in the database itself, would need the gateway's key to hide it.
 */
export function chainWith(key: Uint8Array): Chain {
  return {
    digestsOf: (rows) => Buffer.concat(rows.map(digestOf)),
    link: (before, { seq, day, digests }) =>
      createHmac("sha256", key)
        .update(before ?? "first")
        .update(`${seq} ${day}`)
        .update(digests)
        .digest(),
  };
}

/** Of everything that is stored of a call. */
function digestOf(row: CallRow): Buffer {
  const { id, at, personId, accountId, sessionId, grantId, agentId, clientId } = row;
  const { requestId, upstream, httpMethod, rpcMethod, name, argumentsHash, guard } = row;
  const { status, upstreamStatus, durationMs } = row;
  const who = [id, at.toISOString(), personId, accountId, sessionId, grantId, agentId, clientId];
  const what = [requestId, upstream, httpMethod, rpcMethod, name, argumentsHash, guard];
  const outcome = [status, upstreamStatus, durationMs];
  const fields = [...who, ...what, ...outcome].map((value) => value ?? null);
  return createHash("sha256").update(JSON.stringify(fields)).digest();
}

export type Verified = {
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
 * Whether the calls of a day (UTC, `2026-11-26`) are as they were written.
 * Failures: `usage` for what is no day.
 */
export async function verifyDay(
  app: Pick<App, "db" | "bindingKey" | "config">,
  day: string,
): Promise<Verified> {
  const start = new Date(`${day}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(day) || Number.isNaN(start.getTime())) {
    throw new Failure("usage", `${day} is no day`, { hint: "A day is written 2026-11-26 (UTC)" });
  }
  const next = new Date(start.getTime() + dayMs).toISOString().slice(0, 10);
  const [{ batches, before }, later] = await timely(
    Promise.all([batchesOf(app.db, [day]), batchesOf(app.db, [next])]),
  );
  const written = new Set(batches.flatMap(digestsIn));
  const writtenLater = new Set(later.batches.flatMap(digestsIn));
  let [calls, changed] = [0, 0];
  for await (const row of rowsAround(app, start)) {
    const digest = digestOf(row).toString("base64");
    if (written.delete(digest)) calls += 1;
    else if (isOfDay(row.at, start) && !writtenLater.has(digest)) changed += 1;
  }
  const broken = brokenLinks(chainKeys(app), batches, before);
  return { day, batches: batches.length, calls, broken, changed, missing: written.size };
}

/** How many batches do not follow from the one before them. */
function brokenLinks(
  keys: readonly Uint8Array[],
  batches: readonly Batch[],
  before: Batch | undefined,
): number {
  let previous = before;
  let broken = 0;
  for (const batch of batches) {
    if (!follows(keys, batch, previous)) broken += 1;
    previous = batch;
  }
  return broken;
}

function follows(keys: readonly Uint8Array[], batch: Batch, previous: Batch | undefined): boolean {
  // Retention removes the days before: the first batch that is left has nothing to be compared with.
  if (previous === undefined && batch.seq > 1) return true;
  if (previous !== undefined && batch.seq !== previous.seq + 1) return false;
  return keys.some((key) =>
    Buffer.from(batch.link).equals(chainWith(key).link(previous?.link, batch)),
  );
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
