import { timely } from "#src/once.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { ReadAccount } from "../store.ts";
import type { RefreshDeps } from "./deps.ts";
import { type Lease, returnLease } from "./store.ts";

type Deps = Pick<RefreshDeps, "db" | "config" | "replica" | "journal" | "log">;

export type Leased = {
  readonly account: ReadAccount;
  /** See `Asking`. */
  readonly isOverdue: () => boolean;
};

const graceMs = 10_000;
/** What is left of the grace when a question may still be sent. */
const leastLeftMs = 3000;

/** How long a lease holds: longer than a provider may take, so that nobody else begins while its answer may come. */
export function leaseMs({ config }: Pick<Deps, "config">): number {
  return config.providerTimeoutMs + graceMs;
}

/** Takes a lease by `take`. One that comes after everybody has stopped waiting for it goes back. */
export async function leasedBy(
  app: Deps,
  take: (lease: Lease) => Promise<ReadAccount | undefined>,
): Promise<Leased | undefined> {
  const begun = performance.now();
  const seconds = Math.ceil(leaseMs(app) / 1000);
  const taking = take({ holder: app.replica, journal: app.journal.id, seconds });
  try {
    const account = await timely(taking);
    const isOverdue = () => performance.now() - begun > graceMs - leastLeftMs;
    return account === undefined ? undefined : { account, isOverdue };
  } catch (error) {
    void giveBackLate(app, taking);
    throw error;
  }
}

async function giveBackLate(app: Deps, taking: Promise<ReadAccount | undefined>): Promise<void> {
  try {
    const account = await taking;
    if (account !== undefined) await timely(returnLease(app.db, account, app.replica));
  } catch (error) {
    app.log.warn("lease_not_returned", errorFields(error));
  }
}
