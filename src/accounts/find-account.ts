import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { type Account, accountById, isDisconnected, liveAccount, liveAccounts } from "./store.ts";

const mostShown = 10;

/** An account as an operator names it: by its id, or as `provider:seller`. Failures: `usage`, with those there are. */
export async function findAccount(app: Pick<App, "db">, named: string): Promise<Account> {
  const [provider = "", sellerId] = named.split(/:(.*)/s);
  const id = readId(named);
  const byId = id === undefined ? undefined : await accountById(app.db, id);
  const found = sellerId === undefined ? byId : await liveAccount(app.db, { provider, sellerId });
  if (found !== undefined && found.state !== "revoked") return found;
  const known = (await liveAccounts(app.db, mostShown)).map(
    (each) => `${each.provider}:${each.sellerId}`,
  );
  const hint = known.length === 0 ? "None is connected" : `Connected are ${known.join(", ")}`;
  throw new Failure("usage", `Unknown account: ${named}`, {
    hint: `It is written provider:seller, or its id. ${hint}`,
  });
}

/** The same, of an account that is not being disconnected. */
export async function findConnected(app: Pick<App, "db">, named: string): Promise<Account> {
  const account = await findAccount(app, named);
  if (!isDisconnected(account)) return account;
  throw new Failure("usage", `The account ${named} is being disconnected`);
}
