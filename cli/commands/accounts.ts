import { plain } from "#src/telemetry/redact.ts";
import { accountStates } from "#db/schema/accounts.ts";
import { findAccount } from "#src/accounts/find-account.ts";
import { whatEndsWith } from "#src/accounts/revocation/store.ts";
import { Failure } from "#src/failure.ts";
import { type ListedAccount, accountsFor, openAccess } from "#src/operations/store.ts";
import { command, group, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const list = command({
  name: "accounts list",
  description: "List connected accounts, those that need something first",
  examples: [
    "smartdash accounts list",
    "smartdash accounts list --state reconnect_required --json",
  ],
  args: {
    provider: { type: "string", description: "Only of this provider" },
    state: {
      type: "string",
      description: "Only in this state: active, ambiguous, reconnect_required, revoking, revoked",
    },
    limit: { type: "string", default: "1000", description: "So many on a page" },
    page: { type: "string", default: "1", description: "Which page, from 1" },
  },
  run: async ({ provider, state, limit, page }) => {
    refuseUnlike("--state", state, accountStates);
    for (const [option, value] of Object.entries({ limit, page })) {
      if (/^[1-9]\d{0,6}$/.test(value)) continue;
      throw new Failure("usage", `--${option} is a whole number from 1 to 9999999`);
    }
    const found = await withApp({ role: "command" }, ({ db, catalog }) => {
      refuseUnlike("--provider", provider, [...catalog.providers.keys()]);
      return accountsFor(db, { provider, state, most: Number(limit), page: Number(page) });
    });
    const accounts = found.accounts.map(named);
    const { total } = found;
    const json = { accounts, total, page: Number(page) };
    if (accounts.length === 0) {
      const talk = total === 0 ? "No accounts." : `${total} accounts: --page 1 shows the first.`;
      return { json, talk };
    }
    const before = (Number(page) - 1) * Number(limit);
    const more = total - before - accounts.length;
    const rows = accounts.map((row) => [
      row.account,
      row.state,
      String(row.generation),
      row.accessExpiresAt?.toISOString().slice(0, 16) ?? "never",
      row.lastError ?? "",
    ]);
    const headings = ["account", "state", "generation", "token ends (UTC)", "trouble"];
    return {
      json,
      text: table(headings, rows),
      talk: more <= 0 ? "" : `${more} more of ${total}: --page ${Number(page) + 1} shows the next.`,
    };
  },
});

function refuseUnlike(option: string, value: string | undefined, known: readonly string[]): void {
  if (value === undefined || known.includes(value)) return;
  throw new Failure("usage", `${option} knows no '${value}'`, {
    hint: `It is one of ${known.join(", ")}`,
  });
}

function named(row: ListedAccount) {
  return { account: `${row.provider}:${row.sellerId}`, ...row };
}

const show = command({
  name: "accounts show",
  description: "Show an account (its credential is never shown)",
  examples: ["smartdash accounts show mercadolibre:100200300"],
  args: {
    account: { type: "positional", required: true, description: "Its id, or provider:seller" },
  },
  run: async ({ account }) => {
    const shown = await withApp({ role: "command" }, async (app) => {
      const { accessToken: _, refreshToken: __, ...row } = await findAccount(app, account);
      const { sessions, grants } = await openAccess(app.db, row.id);
      return {
        ...row,
        ...(await whatEndsWith(app.db, row)),
        sessionIds: sessions,
        grantIds: grants,
      };
    });
    const facts = Object.entries(shown).filter(([, value]) => value !== null);
    const width = Math.max(...facts.map(([name]) => name.length));
    const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${asText(value)}`);
    return { json: { account: shown }, text: lines.join("\n") };
  },
});

function asText(value: unknown): string {
  if (Array.isArray(value)) return plain(value.join(", "));
  return value instanceof Date ? value.toISOString() : plain(String(value));
}

export const accounts = group({
  name: "accounts",
  description: "List and show connected accounts",
  subCommands: { list, show },
});
