import { sql } from "drizzle-orm";
import type { Database } from "./open.ts";
import { endings } from "./schema/agents.ts";
import { acknowledgements, replicas } from "./schema/operations.ts";

/** What a gateway has done about a topic: the open streams it has closed for it. */
export type Acknowledgement = { readonly id: string; readonly streams: number };

/** How far the gateways that run are with what they were told. */
export type Acknowledged = {
  /** Gateways that have acted upon all of it. */
  readonly by: number;
  /** Gateways that run. */
  readonly of: number;
  /** Open streams that they have closed for it. */
  readonly streams: number;
};

/** A gateway that has not been seen for so long is not waited for. */
const liveFor = "3 s";

/** Says that this gateway runs. */
export async function heartbeat(db: Database, replica: string): Promise<void> {
  await db.execute(sql`
    insert into ${replicas} (id) values (${replica})
    on conflict (id) do update set seen_at = clock_timestamp()`);
}

/** Takes back that this gateway runs: nobody waits for it any more. */
export async function forgetReplica(db: Database, replica: string): Promise<void> {
  await db.execute(sql`delete from ${replicas} where id = ${replica}`);
}

/** Writes down that `replica` has acted upon these topics. One that has been cleaned up meanwhile is left out. */
export async function acknowledge(
  db: Database,
  replica: string,
  done: readonly Acknowledgement[],
): Promise<void> {
  await db.execute(sql`
    insert into ${acknowledgements} (ending_id, replica, streams)
    select done.id, ${replica}, done.streams
    from jsonb_to_recordset(${JSON.stringify(done)}::text::jsonb) as done(id uuid, streams int)
    join ${endings} on ${endings.id} = done.id
    on conflict (ending_id, replica)
      do update set streams = ${acknowledgements.streams} + excluded.streams`);
}

/** Who has acknowledged each of these topics since a moment of the database's clock. */
export async function acknowledgementsOf(
  db: Database,
  topics: readonly string[],
  since: Date,
): Promise<Acknowledged> {
  const [row] = await db.execute<Acknowledged>(sql`
    with told as (
      select id from ${endings} where at >= ${since.toISOString()}::timestamptz and subject in (
        select jsonb_array_elements_text(${JSON.stringify(topics)}::text::jsonb))),
    live as (
      select id from ${replicas} where seen_at > clock_timestamp() - ${liveFor}::text::interval),
    done as (select * from ${acknowledgements} where ending_id in (select id from told))
    select (select count(*) from live)::int as "of",
      (select count(*) from live where not exists (
        select 1 from told where not exists (
          select 1 from done where done.ending_id = told.id and done.replica = live.id)))::int as "by",
      (select coalesce(sum(streams), 0) from done)::int as streams`);
  return row ?? { by: 0, of: 0, streams: 0 };
}
