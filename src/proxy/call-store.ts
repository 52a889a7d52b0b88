import {
  type SQL,
  and,
  asc,
  desc,
  eq,
  gt,
  gte,
  ilike,
  inArray,
  isNotNull,
  lt,
  sql,
} from "drizzle-orm";
import { hash } from "node:crypto";
import type { Database } from "#db/open.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure, codeOf } from "#src/failure.ts";
import { callBatches, calls } from "#db/schema/calls.ts";
import { people } from "#db/schema/people.ts";
import { type Outcome, outcomeConditions } from "./call-outcome-store.ts";
import { countCalls } from "./call-count-store.ts";

export type CallRow = typeof calls.$inferInsert;
export type StoredCall = typeof calls.$inferSelect;
export type Batch = typeof callBatches.$inferSelect;

/** Any two processes that add to the chain must agree on this number. */
const chainLock = 7_236_591_046;

/** Rows as they are sent, in the same order in all three. */
export type EncodedRows = {
  readonly ids: readonly string[];
  /** A JSON array, in which each row is one of its columns (see `rowText`). */
  readonly json: string;
  /** Of the text of each row, 32 bytes. */
  readonly digests: Uint8Array;
};

const [mostWaiting, mostWaitingBytes] = [5000, 4 * 1024 * 1024];
const [leastRoom, moreRoom, digestBytes, idLength] = [16 * 1024, 128 * 1024, 32, 36];

/**
 * Rows that are not stored yet, the oldest first, as bytes: thousands of texts would be looked at by every collection
 * of the heap, and double it.
 */
export class WaitingRows {
  /** Texts with a comma behind each. */
  #texts: Buffer = Buffer.alloc(leastRoom);
  #digests: Buffer = Buffer.alloc(leastRoom);
  /** Where the comma of each text is. */
  #ends: number[] = [];

  get length(): number {
    return this.#ends.length;
  }

  get isFull(): boolean {
    return this.length >= mostWaiting || this.#bytes() >= mostWaitingBytes;
  }

  /** @param text Of `recordText`. */
  add(text: string): void {
    const [start, at] = [this.#bytes(), this.length * digestBytes];
    // As UTF-8 a text is no longer than that.
    this.#texts = withRoom(this.#texts, start + 3 * text.length + 1);
    this.#digests = withRoom(this.#digests, at + digestBytes);
    const end = start + this.#texts.write(`${text},`, start) - 1;
    digestOf(this.#texts.subarray(start, end)).copy(this.#digests, at);
    this.#ends.push(end);
  }

  first(most: number): EncodedRows {
    const ends = this.#ends.slice(0, most);
    const texts = this.#texts.toString("utf8", 0, ends.at(-1) ?? 0);
    const ids = ends.map((_, row) => this.#idAt((ends[row - 1] ?? -1) + 1));
    const digests = Buffer.from(this.#digests.subarray(0, ends.length * digestBytes));
    return { ids, json: `[${texts}]`, digests };
  }

  remove(count: number): void {
    const gone = (this.#ends[count - 1] ?? -1) + 1;
    this.#texts.copyWithin(0, gone, this.#bytes());
    this.#digests.copyWithin(0, count * digestBytes, this.length * digestBytes);
    this.#ends = this.#ends.slice(count).map((end) => end - gone);
  }

  /** What a text begins with. */
  #idAt(start: number): string {
    const first = start + '["'.length;
    return this.#texts.toString("latin1", first, first + idLength);
  }

  #bytes(): number {
    return (this.#ends.at(-1) ?? -1) + 1;
  }
}

/** The same bytes, with room for so many. What is not used costs memory elsewhere: the heap grows with it. */
function withRoom(bytes: Buffer, wanted: number): Buffer {
  if (wanted <= bytes.length) return bytes;
  const larger = Buffer.alloc(wanted + moreRoom);
  bytes.copy(larger);
  return larger;
}

/** Of a row's text, 32 bytes: what the chain of the audit trail is made of. */
export function digestOf(text: string | Uint8Array): Buffer {
  return hash("sha256", text, "buffer");
}

/** Makes a link of the chain; see `audit.ts`. */
export type MakeLink = (
  before: Uint8Array | undefined,
  batch: Pick<Batch, "seq" | "day" | "digests">,
) => Uint8Array;

/**
 * Adds a batch with its link of the chain, or nothing; rows of a person who has been deleted meanwhile are left
 * out, and so are rows that are there already.
 */
export async function saveCalls(
  db: Database,
  rows: EncodedRows,
  makeLink: MakeLink,
): Promise<void> {
  await db.transaction(async (transaction) => {
    // Whoever hangs in the middle of it must not stop the others.
    await transaction.execute(sql`
      select set_config('lock_timeout', '4s', true), set_config('idle_in_transaction_session_timeout', '5s', true)`);
    const [stored] = await transaction.execute<{
      count: number;
      ids: string | null;
    }>(sql`
      with stored as (insert into ${calls} (id, at, person_id, account_id, session_id, grant_id, agent_id, client_id,
        request_id, upstream, http_method, rpc_method, name, arguments_hash, guard, status, upstream_status, duration_ms, failure)
      select (r->>0)::uuid, (r->>1)::timestamptz, (r->>2)::uuid, (r->>3)::uuid, (r->>4)::uuid, (r->>5)::uuid, (r->>6)::uuid, r->>7,
        r->>8, r->>9, r->>10, r->>11, r->>12, r->>13, r->>14, (r->>15)::int, (r->>16)::int, (r->>17)::int, r->>18
      from jsonb_array_elements(${rows.json}::text::jsonb) as r
      where r->>2 is null or exists (select 1 from ${people} p where p.id = (r->>2)::uuid)
      on conflict (id) do nothing returning id)
      select count(*)::int as count,
        case when count(*) < ${rows.ids.length} then string_agg(id::text, ' ') end as ids from stored`);
    if (stored === undefined || stored.count === 0) return;
    const own = amongThem(rows, stored.ids);
    // As late as it can be: other replicas wait for it.
    await transaction.execute(sql`select pg_advisory_xact_lock(${chainLock})`);
    const [before] = await transaction
      .select({ seq: callBatches.seq, link: callBatches.link })
      .from(callBatches)
      .orderBy(desc(callBatches.seq))
      .limit(1);
    const [clock] = await transaction.execute<{ day: string }>(sql`
      select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD') as day`);
    const batch = { seq: (before?.seq ?? 0) + 1, day: clock?.day ?? "", digests: own.digests };
    const link = makeLink(before?.link, batch);
    const at = sql`clock_timestamp()`;
    await transaction
      .insert(callBatches)
      .values({ ...batch, before: before?.link ?? null, link, at });
    await countCalls(transaction, own.ids);
  });
}

/** The rows with these ids, which blanks part; all of them without. */
function amongThem(rows: EncodedRows, ids: string | null): Pick<EncodedRows, "ids" | "digests"> {
  if (ids === null) return rows;
  const known = new Set(ids.split(" "));
  const own = [...rows.ids.entries()].filter(([, id]) => known.has(id));
  const digests = own.map(([row]) =>
    rows.digests.subarray(row * digestBytes, (row + 1) * digestBytes),
  );
  return { ids: own.map(([, id]) => id), digests: Buffer.concat(digests) };
}

type CallFilter = {
  readonly since: Date;
  /** Only those that ended since then. */
  readonly endedSince?: Date | undefined;
  /** After so long the database gives up. */
  readonly limitMs?: number;
  readonly upstream?: string | undefined;
  readonly tool?: string | undefined;
  /** A client id, or the id of an agent, a grant or a session. */
  readonly agent?: string | undefined;
  readonly accountId?: string | undefined;
  readonly requestId?: string | undefined;
  /** Only what a guard had something to say about. */
  readonly isGuarded?: boolean;
  readonly outcome?: Outcome | undefined;
  /** Only those before the call with this id. */
  readonly before?: string | undefined;
  readonly most: number;
};

/** The newest first. Failures: `search_too_long`, within a limit. */
export async function someCalls(db: Database, filter: CallFilter): Promise<StoredCall[]> {
  const { limitMs } = filter;
  if (limitMs === undefined) return await fittingCalls(db, filter);
  try {
    return await db.transaction(async (transaction) => {
      await transaction.execute(
        sql`select set_config('statement_timeout', ${String(limitMs)}, true)`,
      );
      return await fittingCalls(transaction, filter);
    });
  } catch (error) {
    // query_canceled
    throw codeOf(error) === "57014" ? new Failure("search_too_long") : error;
  }
}

function fittingCalls(db: Pick<Database, "select">, filter: CallFilter) {
  const { since, upstream, tool, accountId, requestId, isGuarded, before, most } = filter;
  return db
    .select()
    .from(calls)
    .where(
      and(
        gte(calls.at, since),
        upstream === undefined ? undefined : eq(calls.upstream, upstream),
        tool === undefined ? undefined : ilike(calls.name, patternFor(tool)),
        accountId === undefined ? undefined : eq(calls.accountId, accountId),
        requestId === undefined ? undefined : eq(calls.requestId, requestId),
        isGuarded === true ? isNotNull(calls.guard) : undefined,
        before === undefined ? undefined : lt(calls.id, before),
        ...furtherConditions(filter),
      ),
    )
    .orderBy(desc(calls.at), desc(calls.id))
    .limit(most);
}

function furtherConditions({ agent, endedSince, outcome }: CallFilter): readonly SQL[] {
  const byAgent =
    agent === undefined
      ? undefined
      : sql`(${agent} in (${calls.clientId}, ${calls.grantId}::text, ${calls.sessionId}::text, ${calls.agentId}::text)
          or ${calls.grantId} in (select id from grants where policy_id = ${readId(agent) ?? null}::uuid))`;
  const sinceEnd =
    endedSince === undefined
      ? undefined
      : sql`${calls.at} + ${calls.durationMs} * interval '1 millisecond' >= ${endedSince.toISOString()}::timestamptz`;
  const ended = outcome === undefined ? undefined : outcomeConditions[outcome];
  return [byAgent, sinceEnd, ended].filter((each) => each !== undefined);
}

/** One call by its id. */
export async function callById(db: Database, id: string): Promise<StoredCall | undefined> {
  const [found] = await db.select().from(calls).where(eq(calls.id, id));
  return found;
}

/** `*` stands for anything, everything else for itself. */
function patternFor(glob: string): string {
  return glob.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%");
}

/** How many calls the batches of a day (UTC) hold; counting ends a batch beyond `most`. */
export async function countCallsOfDay(db: Database, day: string, most: number): Promise<number> {
  const [row] = await db.execute<{ calls: number }>(sql`
    select coalesce(sum(octet_length(digests) / 32), 0)::float8 as calls
    from (select digests from ${callBatches} where day::text = ${day} limit ${most}) b`);
  return row?.calls ?? 0;
}

/** Batches of these days (UTC) in a row, oldest first, with the one before and the one after them. */
export async function batchesOf(
  db: Database,
  days: readonly string[],
): Promise<{
  readonly batches: readonly Batch[];
  readonly before: Batch | undefined;
  readonly after: Batch | undefined;
}> {
  const [first = "", last = first] = [days[0], days.at(-1)];
  const [batches, [before], [after]] = await Promise.all([
    db
      .select()
      .from(callBatches)
      .where(inArray(callBatches.day, [...days]))
      .orderBy(asc(callBatches.seq)),
    db
      .select()
      .from(callBatches)
      .where(lt(callBatches.day, first))
      .orderBy(desc(callBatches.seq))
      .limit(1),
    db
      .select()
      .from(callBatches)
      .where(gt(callBatches.day, last))
      .orderBy(asc(callBatches.seq))
      .limit(1),
  ]);
  return { batches, before, after };
}

/** Calls of a time, oldest first, so many after `afterId`. */
export function callsBetween(
  db: Database,
  between: {
    readonly from: Date;
    readonly to: Date;
    readonly afterId: string;
    readonly most: number;
  },
): Promise<StoredCall[]> {
  const { from, to, afterId, most } = between;
  return db
    .select()
    .from(calls)
    .where(and(gte(calls.at, from), lt(calls.at, to), gt(calls.id, afterId)))
    .orderBy(asc(calls.id))
    .limit(most);
}

/** What calls of all replicas to an upstream have met within the last five minutes. */
export type Lately = {
  readonly upstream: string;
  /** Calls that were made: not those that a guard, or we, have refused. */
  readonly calls: number;
  readonly failed: number;
  /** How many agents have met a failure. */
  readonly callers: number;
  readonly lastSuccess: Date | null;
  readonly lastFailure: Date | null;
  /** The code of most failures. */
  readonly code: string | null;
};

/** Codes that say that a credential could not be renewed, whatever the upstream thinks of the old one. */
export const credentialOutages: readonly string[] = [
  "provider_busy",
  "provider_refuses_application",
  "renewal_pending",
  "journal_unavailable",
  "credential_unreadable",
];
/** Codes that say that the way to an upstream is broken, or that it is. */
const outages = [
  "upstream_unreachable",
  "upstream_timeout",
  "upstream_invalid",
  "upstream_redirected",
  "upstream_broke_off",
  "upstream_refuses_credential",
  ...credentialOutages,
];
/** Of the newest calls of all upstreams alone: a busy gateway must not pay for being looked at. */
const mostLooked = 50_000;

/** For whom a call was made: two clients of one person are one. Where a credential was refused, whose it was. */
export const callerColumn = sql`case when upstream_status = 401 then coalesce(account_id, agent_id)
  else coalesce(person_id, agent_id) end`;

/** A client that waited so long for the head of an answer, and left, says as much as a time limit. */
const longWaitMs = 10_000;
const leftWaiting = sql`(coalesce(failure = 'client_left', false) and upstream_status is null
  and duration_ms >= ${longWaitMs})`;

/** What calls have met within five minutes, by upstream: those that were made, not those that we have refused. */

export async function callsLately(db: Database): Promise<readonly Lately[]> {
  const rows = await db.execute<
    Omit<Lately, "lastSuccess" | "lastFailure"> & {
      succeeded: string | null;
      broken: string | null;
    }
  >(sql`
    with recent as (
      select upstream, at, ${callerColumn} as who,
        upstream_status < 400 as is_success,
        coalesce(failure in ${outages}, false) or ${leftWaiting} or upstream_status = 401 or upstream_status >= 500
          as is_failure,
        case when failure = 'client_left' then 'upstream_timeout'
          when failure in ${credentialOutages} then failure
          when upstream_status = 401 then 'upstream_refuses_credential'
          else coalesce(failure, 'http_' || upstream_status) end as code
      from ${calls}
      where at > now() - interval '5 minutes' and (guard is null or guard like 'approved%')
        and (upstream_status is not null or failure in ${outages} or ${leftWaiting})
      order by at desc limit ${mostLooked})
    select upstream, count(*)::int as calls, (count(*) filter (where is_failure))::int as failed,
      (count(distinct who) filter (where is_failure))::int as callers,
      to_json(max(at) filter (where is_success and is_failure is not true)) #>> '{}' as succeeded,
      to_json(max(at) filter (where is_failure)) #>> '{}' as broken,
      mode() within group (order by code) filter (where is_failure) as code
    from recent group by upstream`);
  return rows.map(({ succeeded, broken, upstream, calls: all, failed, callers, code }) => ({
    upstream,
    calls: all,
    failed,
    callers,
    code,
    lastSuccess: succeeded === null ? null : new Date(succeeded),
    lastFailure: broken === null ? null : new Date(broken),
  }));
}
