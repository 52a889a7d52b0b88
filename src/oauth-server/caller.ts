import type { Topic } from "#db/topics.ts";
import { hash } from "node:crypto";
import type { App } from "#src/app.ts";
import { type Cache, createCache, databasePatienceMs, withoutDatabaseMs } from "#src/cache.ts";
import { tokenPrefixes } from "#src/crypto/secret.ts";
import type { ToolPolicy } from "#src/upstreams/tool-rules.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import { knownResource } from "./resource.ts";
import { type Scope, allowedBy, scopes } from "./scopes.ts";
import { sessionByFingerprint } from "./sessions/store.ts";
import { type ProvenToken, proveAccessToken } from "./tokens/access-token.ts";
import { type SigningKeys, keysTopic } from "./tokens/signing-keys.ts";
import { narrowingKeyOf, policyKeyOf } from "./grants/consent.ts";
import type { Grant } from "./grants/store.ts";
import { agentById, isEnded, openGrant, policiesOf } from "./tokens/store.ts";

/** Who a bearer stands for. */
export type Caller = {
  /** What the bearer rests on: a minted session, a person's grant, or an agent of the operator. */
  readonly kind: "session" | "grant" | "agent";
  readonly id: string;
  /** `session:ID`, `agent:ID`, or `grant:` and a policy id: what limits, budgets, stops and approvals go by. */
  readonly key: string;
  /** The client id; undefined for a session. */
  readonly agent: string | undefined;
  /** How a person is told which agent it is. */
  readonly agentName: string;
  /** Which tools it may use, beside the upstream's own rules. */
  readonly policies: readonly ToolPolicy[];
  /** Absent for an agent that acts for itself on upstreams without an account. */
  readonly personId: string | undefined;
  readonly accountId: string | undefined;
  readonly provider: string | undefined;
  /** The one upstream it is for; a session is for every upstream that its account fits. */
  readonly upstream: string | undefined;
  readonly granted: readonly Scope[];
  /** With everything that the granted scopes include. */
  readonly allowed: ReadonlySet<Scope>;
  readonly expiresAt: number;
  /** What ends it (see `endings`). */
  readonly topics: readonly string[];
};

/** The topic with which every replica is told that the policy of `agent:CLIENT_ID`, `grant:ID` or `session:ID` has changed. */
export function policyChanged(subject: string): Topic {
  return `policy:${subject}`;
}

/** Proven bearers by fingerprint. A revocation empties it on every replica; the database is asked every 5 s anyway. */
export type Callers = Cache<Caller>;

export function createCallers(app: Pick<App, "now">): Callers {
  const now = millisecondsOf(app);
  return createCache<Caller>({
    freshMs: 5000,
    staleMs: withoutDatabaseMs,
    patienceMs: databasePatienceMs,
    size: 10_000,
    now,
  });
}

export type CallerDeps = Pick<App, "db" | "now" | "publicUrl" | "catalog" | "config"> & {
  readonly callers: Callers;
  readonly signingKeys: SigningKeys;
};

const [longestSession, longestToken] = [100, 4096];

/** Who `bearer` stands for; undefined when it is unknown, expired or ended. */
export async function callerOf(app: CallerDeps, bearer: string): Promise<Caller | undefined> {
  const load = loaderFor(bearer);
  if (load === undefined) return undefined;
  const key = hash("sha256", bearer, "base64");
  const caller = await app.callers.get(key, () => load(app, bearer));
  return caller !== undefined && isOpen(app, caller) ? caller : undefined;
}

/** The same without asking anybody; undefined when something has to be proven or read first. */
export function knownCaller(
  app: Pick<App, "now"> & { readonly callers: Callers },
  bearer: string,
): Caller | undefined {
  if (bearer.length > longestToken) return undefined;
  const caller = app.callers.fresh(hash("sha256", bearer, "base64"));
  return caller !== undefined && isOpen(app, caller) ? caller : undefined;
}

function isOpen(app: Pick<App, "now">, caller: Caller): boolean {
  return caller.expiresAt > app.now().getTime();
}

/** How a bearer of this shape is read; undefined when it is none of ours. */
function loaderFor(bearer: string) {
  if (bearer.startsWith(tokenPrefixes.session)) {
    return bearer.length > longestSession ? undefined : readSession;
  }
  return bearer.startsWith("eyJ") && bearer.length <= longestToken ? readToken : undefined;
}

async function readSession(app: CallerDeps, bearer: string): Promise<Caller | undefined> {
  const token = hash("sha256", bearer, "buffer");
  const row = await timely(sessionByFingerprint(app.db, token, app.now()));
  if (row === undefined) return undefined;
  const { id, personId, accountId, provider, expiresAt, platform } = row;
  return {
    kind: "session",
    id,
    key: `session:${id}`,
    agent: undefined,
    agentName: platform ?? `session ${id.slice(-6)}`,
    policies: await timely(policiesOf(app.db, [`session:${id}`])),
    personId,
    accountId,
    provider,
    upstream: undefined,
    ...mayDo(scopes),
    expiresAt: expiresAt.getTime(),
    topics: [`session:${id}`],
  };
}

async function readToken(app: CallerDeps, bearer: string): Promise<Caller | undefined> {
  const token = await proveAccessToken(app, bearer);
  if (token === undefined) return undefined;
  const upstream = knownResource(app, token.audience)?.upstream.name;
  const [kind, id] = token.basis.split(":");
  if (upstream === undefined || id === undefined) return undefined;
  const base = {
    id,
    key: token.basis,
    upstream,
    ...mayDo(token.scopes),
    expiresAt: token.expiresAt,
    topics: [token.basis, `token:${token.tokenId}`, keysTopic],
  };
  if (kind === "grant") return await withGrant(app, base);
  return kind === "agent" ? await withAgent(app, base, token) : undefined;
}

/** What a person ticks on the consent page. */
const onlyReading: ToolPolicy = { allow: ["@read-only"], deny: [], approve: [] };

type Base = Pick<
  Caller,
  "id" | "key" | "upstream" | "granted" | "allowed" | "expiresAt" | "topics"
>;

async function withGrant(app: CallerDeps, base: Base): Promise<Caller | undefined> {
  const grant = await timely(openGrant(app.db, base.id));
  if (grant === undefined) return undefined;
  // `/mcp` may mean another upstream by now; the person agreed to this one.
  if (grant.upstream !== base.upstream) return undefined;
  const { personId, accountId, provider, clientId: agent, clientName: agentName } = grant;
  const key = policyKeyOf(grant);
  const policies = await policiesOfGrant(app, grant);
  const owner = { personId, accountId, provider };
  const expiresAt = Math.min(base.expiresAt, grant.expiresAt?.getTime() ?? base.expiresAt);
  return { ...base, key, kind: "grant", ...owner, agent, agentName, policies, expiresAt };
}

/** Which tools a grant may use: by the operator's word about it and its client, and by its person's. */
export async function policiesOfGrant(
  { db }: Pick<App, "db">,
  grant: Pick<Grant, "policyId" | "clientId" | "onlyReading">,
): Promise<readonly ToolPolicy[]> {
  const subjects = [policyKeyOf(grant), narrowingKeyOf(grant), `agent:${grant.clientId}`];
  const own = await timely(policiesOf(db, subjects));
  return grant.onlyReading ? [...own, onlyReading] : own;
}

async function withAgent(
  app: CallerDeps,
  base: Base,
  token: ProvenToken,
): Promise<Caller | undefined> {
  const agent = await timely(agentById(app.db, base.id));
  if (agent === undefined || !mayUse(agent.upstreams, base.upstream)) return undefined;
  if (await timely(isEnded(app.db, [`token:${token.tokenId}`]))) return undefined;
  const { personId, accountId, provider } = agent;
  return {
    ...base,
    kind: "agent",
    agent: agent.clientId,
    agentName: agent.name,
    policies: await timely(policiesOf(app.db, [`agent:${agent.clientId}`])),
    personId: personId ?? undefined,
    accountId: accountId ?? undefined,
    provider: provider ?? undefined,
  };
}

function mayUse(allowed: readonly string[] | null, upstream: string | undefined): boolean {
  return allowed === null || (upstream !== undefined && allowed.includes(upstream));
}

function mayDo(granted: readonly Scope[]) {
  return { granted, allowed: allowedBy(granted) };
}
