import { findAccount } from "#src/accounts/find-account.ts";
import { openJournal } from "#src/accounts/journal/journal.ts";
import { createRefreshParts } from "#src/accounts/refresh/refreshing.ts";
import { type Disconnected, disconnect } from "#src/accounts/revocation/disconnect.ts";
import { registrationOf } from "#src/accounts/registration.ts";
import { whatEndsWith } from "#src/accounts/revocation/store.ts";
import { Failure } from "#src/failure.ts";
import { command, withApp } from "../command.ts";
import { print, tell } from "../terminal.ts";

export const revoke = command({
  name: "revoke",
  description: "Disconnect an account: here at once, then at its provider",
  args: {
    account: { type: "string", required: true, description: "Its id, or provider:seller" },
    yes: { type: "boolean", description: "Do it; without this it only says what would end" },
    json: { type: "boolean", description: "Print one JSON object" },
  },
  run: async ({ account: named, yes, json }) => {
    await withApp({ role: "command" }, async (app) => {
      const account = await findAccount(app, named);
      const ends = await whatEndsWith(app.db, account);
      const name = `${account.provider}:${account.sellerId}`;
      tell(`${name}: sessions ${ends.sessions}, grants ${ends.grants}, own agents ${ends.agents}.`);
      if (yes !== true) {
        throw new Failure("usage", "Nothing was changed", { hint: "Add --yes to disconnect it" });
      }
      // Without them access at the provider would be left behind, although a gateway could take it back.
      if (account.kind === "oauth") registrationOf(app, account.provider);
      const journal = await openJournal(app);
      try {
        const parts = createRefreshParts(app, journal);
        // The running gateways hear of it through the database.
        const disconnecting = { ...app, ...parts, letGo: () => undefined };
        const done = await disconnect(disconnecting, account.id, "ended_by_operator");
        if (json === true) print(JSON.stringify({ accountId: account.id, ...ends, ...done }));
        tell(wordsFor(done, name));
        if (done.atProvider === "pending") process.exitCode = 75;
      } finally {
        journal.holders.leave();
      }
    });
  },
});

function wordsFor({ atProvider, page, reason }: Disconnected, name: string): string {
  const where = page === undefined ? "" : `, at ${page}`;
  const words = {
    taken_back: `${name} is disconnected, and the provider has taken the access back.`,
    already_gone: `${name} is disconnected; the provider had ended the access before.`,
    pending: `${name} cannot be used here any more. Left: the provider has not confirmed (${reason ?? "no answer"}); a running gateway goes on asking.`,
    by_hand: `${name} is disconnected here. Left: its person takes the access back at the provider${where}.`,
  };
  return words[atProvider];
}
