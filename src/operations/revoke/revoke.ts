import type { Topic } from "#db/topics.ts";
import { databaseNow } from "#db/ping.ts";
import type { Acknowledged } from "#db/replicas.ts";
import { findAccount } from "#src/accounts/find-account.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { type Disconnected, disconnect } from "#src/accounts/revocation/disconnect.ts";
import { beginRevoking } from "#src/accounts/revocation/store.ts";
import type { Account } from "#src/accounts/store.ts";
import { removeClient } from "#src/oauth-server/clients/operator.ts";
import type { App } from "#src/app.ts";
import { acknowledged } from "#src/bus.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import {
  type LiveCounts,
  type Selection,
  accountsIn,
  endAccess,
  isKnown,
  living,
} from "./store.ts";

/** What would end. */
export type Plan = {
  readonly selection: Selection;
  readonly accounts: readonly Account[];
  readonly living: LiveCounts;
};

export type Revoked = {
  /** How each account ended at its provider. */
  readonly accounts: readonly (Disconnected & { readonly id: string; readonly name: string })[];
  /** What can still be used afterwards, counted again: nothing. */
  readonly left: LiveCounts;
  readonly acknowledged: Acknowledged;
};

/**
 * What a wish means, as it stands now. Changes nothing.
 * Failures: `usage` or `not_found` when there is no such thing.
 */
export async function planRevocation(app: App, wish: Selection): Promise<Plan> {
  const selection = await resolved(app, wish);
  const accounts = await timely(accountsIn(app.db, selection));
  return { selection, accounts, living: await timely(living(app.db, selection)) };
}

async function resolved(app: App, wish: Selection): Promise<Selection> {
  const { kind, id } = wish;
  if (kind === "account") return { kind, id: (await findAccount(app, id)).id };
  if (kind === "provider" && !app.catalog.providers.has(id)) {
    const known = [...app.catalog.providers.keys()].join(", ");
    throw new Failure("usage", `Unknown provider: ${id}`, { hint: `Known: ${known}` });
  }
  const isId = kind === "agent" || kind === "provider" || readId(id) !== undefined;
  if (!isId) throw new Failure("usage", `The ${kind} is named by its id; ${id} is none`);
  if (await timely(isKnown(app.db, wish))) return wish;
  throw new Failure("not_found", `Unknown ${kind}: ${id}`);
}

/** At the same time, so that a provider with a crowd does not take for ever and is not flooded. */
const workers = 4;
const mostRounds = 5;

/**
 * Ends everything of a plan: first nothing of it can be used on any gateway, then providers take access back.
 * Goes on with the others when a provider does not answer; a running gateway asks it again.
 */
export async function revokeAll(
  app: App & RefreshDeps,
  { selection, accounts }: Plan,
  tell: (done: number) => void = () => undefined,
): Promise<Revoked> {
  const since = await databaseNow(app.db);
  const ended = new Set<Topic>();
  for (const { id } of accounts) {
    const begun = await timely(beginRevoking(app.db, id, app.now()));
    for (const subject of begun?.ended ?? []) ended.add(subject);
  }
  for (const subject of await timely(endAccess(app.db, selection, app.now()))) ended.add(subject);
  if (selection.kind === "agent") await endAgent(app, selection.id, ended);
  const outcomes = [...(await disconnectAll(app, accounts, tell))];
  // Whoever has connected since the plan was made.
  for (let round = 0; round < mostRounds; round++) {
    const late = (await timely(accountsIn(app.db, selection))).filter(
      ({ state, id }) => state !== "revoking" || !accounts.some((each) => each.id === id),
    );
    if (late.length === 0) break;
    outcomes.push(...(await disconnectAll(app, late, tell)));
  }
  const left = await timely(living(app.db, selection));
  return { accounts: outcomes, left, acknowledged: await acknowledged(app, [...ended], since) };
}

/** One that only had grants (its id is an address) has nothing of its own to remove. */
async function endAgent(app: App, clientId: string, ended: Set<Topic>): Promise<void> {
  try {
    for (const subject of await removeClient(app, clientId)) ended.add(subject);
  } catch (error) {
    if (!(error instanceof Failure && error.code === "not_found")) throw error;
  }
}

async function disconnectAll(
  app: App & RefreshDeps,
  accounts: readonly Account[],
  tell: (done: number) => void,
): Promise<Revoked["accounts"]> {
  const waiting = [...accounts];
  const outcomes: (Disconnected & { id: string; name: string })[] = [];
  // The running gateways hear of it through the database.
  const disconnecting = { ...app, applyRevocations: () => 0 };
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { id, provider, sellerId } = next;
      const done = await disconnect(disconnecting, id, {
        why: "ended_by_operator",
        // A gateway that has its settings takes access back.
        leavesUnconfigured: true,
      });
      outcomes.push({ ...done, id, name: `${provider}:${sellerId}` });
      tell(outcomes.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(workers, accounts.length) }, work));
  return outcomes;
}
