import { and, desc, eq, gt, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { grants, sessions } from "#db/schema/agents.ts";
import { approvals } from "#db/schema/guards.ts";

export type Approval = typeof approvals.$inferSelect;
export type Extent = NonNullable<Approval["extent"]>;

/** What is asked for: a caller, a tool, and the very arguments. */
export type Asked = Pick<Approval, "caller" | "upstream" | "tool" | "argumentsHash">;

const isSame = (asked: Asked) =>
  and(
    eq(approvals.caller, asked.caller),
    eq(approvals.upstream, asked.upstream),
    eq(approvals.tool, asked.tool),
  );

/**
 * Uses a yes, one for longer before one for once, which is used up; where a yes is for one call alone
 * (`isOnceOnly`), one for longer from earlier does not count. With `id` a yes for once has to be that one.
 * Undefined when there is none.
 */
export async function useApproval(
  db: Database,
  asked: Asked,
  { id, isOnceOnly }: { readonly id: string | undefined; readonly isOnceOnly: boolean },
): Promise<Pick<Approval, "id" | "extent"> | undefined> {
  const isIt = id === undefined ? sql`true` : sql`id = ${id}`;
  const isMeant = sql`caller = ${asked.caller} and upstream = ${asked.upstream}
    and tool = ${asked.tool} and state = 'approved' and expires_at > now()`;
  const [standing] = isOnceOnly
    ? []
    : await db.execute<{ id: string; extent: Extent }>(sql`
    select id, extent from ${approvals} where ${isMeant} and extent <> 'once' limit 1`);
  if (standing !== undefined) return standing;
  const [once] = await db.execute<{ id: string; extent: Extent }>(sql`
    update ${approvals} set state = 'used' where id = (
      select id from ${approvals} where ${isMeant} and extent = 'once'
        and arguments_hash = ${asked.argumentsHash} and ${isIt} limit 1 for update skip locked)
    returning id, extent`);
  return once;
}

/** The call was not carried out: the upstream asks something first. The yes still holds for its time. */
export async function giveBack(db: Database, id: string): Promise<void> {
  await db
    .update(approvals)
    .set({ state: "approved" })
    .where(
      and(eq(approvals.id, id), eq(approvals.state, "used"), gt(approvals.expiresAt, sql`now()`)),
    );
}

/** Whether a person has just said no to this very call. */
export async function isRefused(db: Database, asked: Asked): Promise<boolean> {
  const rows = await db
    .select({ id: approvals.id })
    .from(approvals)
    .where(
      and(
        isSame(asked),
        eq(approvals.argumentsHash, asked.argumentsHash),
        eq(approvals.state, "refused"),
        gt(approvals.expiresAt, sql`now()`),
      ),
    )
    .limit(1);
  return rows.length > 0;
}

const mostPending = 20;

/**
 * Asks, or finds the same question that is open already; open for ten minutes, however often it is asked.
 * Undefined when too many of this caller are.
 */
export async function ask(
  db: Database,
  question: Omit<typeof approvals.$inferInsert, "state" | "extent" | "expiresAt">,
): Promise<string | undefined> {
  const { caller, upstream, tool, argumentsHash } = question;
  return await db.transaction(async (transaction) => {
    await transaction.execute(
      sql`select pg_advisory_xact_lock(hashtextextended(${`approvals ${caller}`}, 7236592))`,
    );
    const open = await transaction
      .select({
        id: approvals.id,
        tool: approvals.tool,
        upstream: approvals.upstream,
        hash: approvals.argumentsHash,
      })
      .from(approvals)
      .where(
        and(
          eq(approvals.caller, caller),
          eq(approvals.state, "pending"),
          gt(approvals.expiresAt, sql`now()`),
        ),
      );
    const same = open.find(
      (each) => each.tool === tool && each.upstream === upstream && each.hash === argumentsHash,
    );
    if (same !== undefined) return same.id;
    const expiresAt = sql`now() + interval '10 minutes'`;
    if (open.length >= mostPending) return undefined;
    await transaction.insert(approvals).values({ ...question, expiresAt });
    return question.id;
  });
}

export async function approvalById(db: Database, id: string): Promise<Approval | undefined> {
  const [row] = await db.select().from(approvals).where(eq(approvals.id, id));
  return row;
}

/** So many are read at once, the newest first. */
export const mostApprovals = 100;

/** An agent that has ended asks nothing any more. */
const isOfLivingCaller = sql`case split_part(${approvals.caller}, ':', 1)
  when 'session' then exists (select 1 from ${sessions} s
    where 'session:' || s.id = ${approvals.caller} and s.ended_at is null and s.expires_at > now())
  when 'grant' then exists (select 1 from ${grants} g where 'grant:' || coalesce(g.policy_id, g.id) = ${approvals.caller}
    and g.ended_at is null and (g.expires_at is null or g.expires_at > now()))
  else true end`;

/** Questions that are open, of one person or of all, the newest first. */
export function pendingApprovals(db: Database, personId?: string): Promise<Approval[]> {
  return db
    .select()
    .from(approvals)
    .where(
      and(
        eq(approvals.state, "pending"),
        gt(approvals.expiresAt, sql`now()`),
        isOfLivingCaller,
        personId === undefined ? undefined : eq(approvals.personId, personId),
      ),
    )
    .orderBy(desc(approvals.createdAt))
    .limit(mostApprovals);
}

/** What was allowed for longer than once and still holds, of one person or of all. */
export function standingApprovals(db: Database, personId?: string): Promise<Approval[]> {
  return db
    .select()
    .from(approvals)
    .where(
      and(
        eq(approvals.state, "approved"),
        sql`${approvals.extent} <> 'once'`,
        gt(approvals.expiresAt, sql`now()`),
        personId === undefined ? undefined : eq(approvals.personId, personId),
      ),
    )
    .orderBy(desc(approvals.decidedAt))
    .limit(mostApprovals);
}

const holds: Readonly<Record<Extent, string>> = {
  once: "10 minutes",
  hour: "1 hour",
  always: "100 years",
};

/** The answer to a question: a yes for so long, or no (undefined). */
export type Answer = {
  readonly id: string;
  readonly extent: Extent | undefined;
  readonly by: string;
};

/** What the answered question was about; undefined when it is open no more. */
export async function decide(
  db: Database,
  decided: Answer,
): Promise<Pick<Approval, "upstream" | "tool"> | undefined> {
  const { id, extent, by } = decided;
  const rows = await db
    .update(approvals)
    .set({
      state: extent === undefined ? "refused" : "approved",
      extent: extent ?? null,
      arguments: null,
      decidedAt: sql`now()`,
      decidedBy: by,
      expiresAt: sql`now() + ${holds[extent ?? "once"]}::text::interval`,
    })
    .where(
      and(
        eq(approvals.id, id),
        eq(approvals.state, "pending"),
        gt(approvals.expiresAt, sql`now()`),
      ),
    )
    .returning({ upstream: approvals.upstream, tool: approvals.tool });
  return rows[0];
}

/** Takes back a yes that still holds. False when there is none. */
export async function withdraw(
  db: Database,
  which: { readonly id: string; readonly personId?: string },
  by: string,
): Promise<boolean> {
  const owner = which.personId === undefined ? undefined : eq(approvals.personId, which.personId);
  const rows = await db
    .update(approvals)
    .set({ state: "refused", expiresAt: sql`now()`, decidedAt: sql`now()`, decidedBy: by })
    .where(
      and(
        eq(approvals.id, which.id),
        eq(approvals.state, "approved"),
        gt(approvals.expiresAt, sql`now()`),
        owner,
      ),
    )
    .returning({ id: approvals.id });
  return rows.length === 1;
}
