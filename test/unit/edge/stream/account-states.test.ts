import { expect, test } from "bun:test";
import type { App } from "#src/app.ts";
import { watchAccounts } from "#src/edge/stream/account-states.ts";

type Row = { readonly id: string; readonly state: string };

/** A database that answers when it is told to. */
function slowDatabase() {
  const waiting: ((rows: readonly Row[]) => void)[] = [];
  const where = () => new Promise((resolve) => waiting.push(resolve));
  const db = { select: () => ({ from: () => ({ where }) }) };
  const app = { db, log: { debug: () => undefined } } as unknown as Pick<App, "db" | "log">;
  return { app, waiting };
}

test("an account that is followed while the database is asked about others is not told to be revoked", async () => {
  const { app, waiting } = slowDatabase();
  const told: string[] = [];
  const states = watchAccounts(app, (id, state) => void told.push(`${id} ${state}`));
  states.follow("first");
  states.follow("second");
  // What was asked for the first alone comes first.
  waiting[0]?.([{ id: "first", state: "active" }]);
  await Bun.sleep(0);
  const both = ["first", "second"].map((id) => ({ id, state: "active" }));
  waiting[1]?.(both);
  await Bun.sleep(0);
  expect(told).toEqual([]);
  states.stop();
});
