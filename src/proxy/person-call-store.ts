import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { agents, grants, sessions } from "#db/schema/agents.ts";
import { accounts } from "#db/schema/accounts.ts";
import { calls } from "#db/schema/calls.ts";
import { type Outcome, outcomeConditions } from "./call-outcome-store.ts";

/** A call of a person, with whose it was. */
export type PersonCall = {
  readonly id: string;
  readonly at: Date;
  readonly accountId: string | null;
  readonly upstream: string;
  readonly httpMethod: string;
  readonly rpcMethod: string | null;
  readonly name: string | null;
  readonly status: number;
  readonly durationMs: number;
  readonly guard: string | null;
  readonly failure: string | null;
  readonly requestId: string;
  /** `grant:` and a policy id, `session:ID` or `agent:ID`. */
  readonly agent: string | null;
  /** What the agent calls itself; null for a session without a platform, and where it is not known any more. */
  readonly agentName: string | null;
};

export type CallsWanted = {
  readonly personId: string;
  /** Older than this call. */
  readonly before?: string | undefined;
  /** As `PersonCall.agent` names it. */
  readonly agent?: string | undefined;
  readonly tool?: string | undefined;
  /** From its first moment (UTC) to its last. */
  readonly day?: Date | undefined;
  readonly outcome?: Outcome | undefined;
  /** Also what clients ask by themselves: lists, beginnings, signs of life. */
  readonly isWhole: boolean;
  readonly most: number;
};

export type CallsFound = {
  /** The newest first. */
  readonly rows: readonly PersonCall[];
  /** Where to go on; undefined at the end. */
  readonly next: string | undefined;
};

/** So many of a person's calls are looked at for one page, whatever the filters leave of them. */
const mostLooked = 20_000;

/** What an agent does for a person, as against what its client asks by itself. */
const uses = ["tools/call", "resources/read", "prompts/get", "batch"];

/** A page of a person's calls, by their index; what is older than `mostLooked` of them is for the next page. */
export async function callsOfPerson(db: Database, wanted: CallsWanted): Promise<CallsFound> {
  const rows = await db.execute<Omit<PersonCall, "at"> & { readonly at: string }>(queryFor(wanted));
  const found = rows.map((row) => Object.assign({}, row, { at: new Date(row.at) }));
  return { rows: found, next: await nextOf(db, wanted, found) };
}

/** What is asked for a page; a test looks at how PostgreSQL would go about it. */
export function queryFor(wanted: CallsWanted): SQL {
  const looked = sql`select * from ${calls} where ${rangeOf(wanted)} ${newestFirst} limit ${mostLooked}`;
  return sql`
    select c.id, to_json(c.at) #>> '{}' as at, c.account_id as "accountId", c.upstream, c.http_method as "httpMethod",
      c.rpc_method as "rpcMethod", c.name, c.status, c.duration_ms as "durationMs", c.guard, c.failure,
      c.request_id as "requestId", coalesce(g.client_name, s.platform, a.name) as "agentName",
      case when c.grant_id is not null then 'grant:' || coalesce(g.policy_id, c.grant_id)
        when c.session_id is not null then 'session:' || c.session_id
        when c.agent_id is not null then 'agent:' || c.agent_id end as agent
    from (select * from (${looked}) looked where ${filterOf(wanted)} ${newestFirst} limit ${wanted.most}) c
      left join ${grants} g on g.id = c.grant_id left join ${sessions} s on s.id = c.session_id
      left join ${agents} a on a.id = c.agent_id
    order by c.id desc`;
}

/** Behind a full page its last row; behind one that is not full, how far was looked, if there is more. */
async function nextOf(
  db: Database,
  wanted: CallsWanted,
  found: readonly PersonCall[],
): Promise<string | undefined> {
  const looked = sql`select id from ${calls} where ${rangeOf(wanted)} ${newestFirst} limit ${mostLooked}`;
  const last =
    found.length === wanted.most
      ? found.at(-1)?.id
      : (
          await db.execute<{ id: string }>(
            sql`select id from (${looked}) looked order by id limit 1`,
          )
        )[0]?.id;
  if (last === undefined) return undefined;
  const older = await db.execute(
    sql`select 1 from ${calls} where ${rangeOf({ ...wanted, before: last })} ${newestFirst} limit 1`,
  );
  return older.length === 0 ? undefined : last;
}

/** Below and above every id. */
const [lowestId, highestId] = [
  "00000000-0000-0000-0000-000000000000",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

/**
 * Calls of one person, of a day where one is asked for. Compared as pairs, which only the index on person and id can
 * follow: by the primary key others' calls would be read too. Goes with `newestFirst`.
 */
function rangeOf({ personId, before, day }: Pick<CallsWanted, "personId" | "before" | "day">): SQL {
  const from = day === undefined ? lowestId : firstId(day);
  const dayEnd = day === undefined ? highestId : firstId(dayAfter(day));
  const to = before !== undefined && before < dayEnd ? before : dayEnd;
  const pair = (id: string) => sql`(${personId}::uuid, ${id}::uuid)`;
  return sql`(person_id, id) >= ${pair(from)} and (person_id, id) < ${pair(to)}`;
}

const newestFirst = sql`order by person_id desc, id desc`;

function filterOf({ personId, agent, tool, outcome, isWhole }: CallsWanted): SQL {
  const conditions = [
    isWhole ? sql`true` : sql`rpc_method in ${uses}`,
    ...(agent === undefined ? [] : [agentCondition(agent, personId)]),
    ...(tool === undefined ? [] : [sql`name = ${tool}`]),
    ...(outcome === undefined ? [] : [outcomeConditions[outcome]]),
  ];
  return sql.join(conditions, sql` and `);
}

/** A permission is one, however often it was given (`policyIdOf`). */
function agentCondition(agent: string, personId: string): SQL {
  const [kind, id = ""] = agent.split(":");
  if (kind === "session") return sql`session_id = ${id}`;
  if (kind === "agent") return sql`agent_id = ${id}`;
  return sql`grant_id in (select id from ${grants} where policy_id = ${id} and person_id = ${personId})`;
}

/** The least id that a call of that moment can have: ids sort by time (RFC 9562 section 5.7). */
function firstId(at: Date): string {
  const hex = at.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function dayAfter(day: Date): Date {
  return new Date(day.getTime() + 86_400_000);
}

/** An agent that calls for a person, now or lately. */
export type CallingAgent = {
  /** `grant:ID`, `session:ID` or `agent:ID`: how calls are counted. */
  readonly caller: string;
  /** The same, with a policy id for a grant. */
  readonly key: string;
  readonly name: string | null;
};

const mostAgents = 200;

/** Agents whose calls are a person's: what has not ended since `since`, and the operator's on accounts of theirs. */
export async function agentsCallingFor(
  db: Database,
  { personId, since }: { readonly personId: string; readonly since: Date },
): Promise<readonly CallingAgent[]> {
  const from = sql`${since.toISOString()}::timestamptz`;
  return await db.execute<CallingAgent>(sql`
    (select 'grant:' || id as caller, 'grant:' || policy_id as key, client_name as name from ${grants}
      where person_id = ${personId} and activated_at is not null and (ended_at is null or ended_at >= ${from})
      order by id desc limit ${mostAgents})
    union all (select 'session:' || id, 'session:' || id, platform from ${sessions}
      where person_id = ${personId} and coalesce(ended_at, expires_at) >= ${from} order by id desc limit ${mostAgents})
    union all (select 'agent:' || a.id, 'agent:' || a.id, a.name from ${agents} a
      join ${accounts} c on c.id = a.account_id where c.person_id = ${personId} order by a.id desc limit ${mostAgents})`);
}

/** What a person's newest calls tell: when who called last, and which tools. */
export type LatestCalls = {
  /** By `grant:ID`, `session:ID`, `agent:ID` and `account:ID`. */
  readonly lastUses: ReadonlyMap<string, Date>;
  readonly tools: readonly { readonly upstream: string; readonly name: string }[];
};

const mostLatest = 2000;

/** The newest 2,000 calls of a person, summed up; whoever called before is not among them. */
export async function latestCallsOf(db: Database, personId: string): Promise<LatestCalls> {
  const latest = sql`select * from ${calls} where ${rangeOf({ personId })} ${newestFirst} limit ${mostLatest}`;
  const rows = await db.execute<{
    caller: string | null;
    account: string | null;
    upstream: string;
    tool: string | null;
    at: string;
  }>(sql`
    select case when grant_id is not null then 'grant:' || grant_id when session_id is not null then 'session:' || session_id
        else 'agent:' || agent_id end as caller, account_id as account, upstream,
      case when rpc_method = 'tools/call' then name end as tool, to_json(max(at)) #>> '{}' as at
    from (${latest}) latest group by 1, 2, 3, 4 order by max(at)`);
  const lastUses = new Map<string, Date>();
  for (const { caller, account, at } of rows) {
    if (caller !== null) lastUses.set(caller, new Date(at));
    if (account !== null) lastUses.set(`account:${account}`, new Date(at));
  }
  const tools = rows.flatMap(({ upstream, tool }) =>
    tool === null ? [] : [{ upstream, name: tool }],
  );
  const unique = new Map(tools.map((tool) => [`${tool.upstream} ${tool.name}`, tool]));
  return { lastUses, tools: [...unique.values()] };
}
