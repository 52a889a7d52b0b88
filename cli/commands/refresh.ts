import { findAccount } from "#src/accounts/find-account.ts";
import { openJournal } from "#src/accounts/journal/journal.ts";
import { createRefreshParts } from "#src/accounts/refresh/deps.ts";
import { accountById } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { openSelfTest } from "#src/check/self-test/environment.ts";
import { type Consequence, consequences } from "#src/check/self-test/simulate-refresh.ts";
import { loadRuntime } from "#src/runtime/load.ts";
import { accountsFor } from "#src/operations/store.ts";
import { refreshNow } from "#src/operations/refresh/refresh-now.ts";
import { type RefreshDescription, describeRefresh } from "#src/operations/refresh/describe.ts";
import { type Outcome, command, withApp } from "../command.ts";
import { environment } from "../environment.ts";
import { patiently, table } from "../terminal.ts";

export const refresh = command({
  name: "refresh",
  description: "Refresh an account's credential; with --simulate, only show what would happen",
  examples: [
    "smartdash refresh --simulate",
    "smartdash refresh --simulate mercadolibre:100200300",
    "smartdash refresh mercadolibre:100200300",
  ],
  args: {
    account: { type: "positional", required: false, description: "Its id, or provider:seller" },
    simulate: {
      type: "boolean",
      description: "Ask no provider: show the state, and try every answer on a simulated one",
    },
  },
  run: async ({ account, simulate }) => {
    if (simulate === true) {
      return await patiently(
        () => "Simulating",
        withApp({ role: "command" }, (app) => simulation(app, account)),
      );
    }
    if (account === undefined) {
      throw new Failure("usage", "Say which account, or --simulate", {
        hint: "smartdash accounts list shows them",
      });
    }
    return await patiently(
      () => "Asking the provider",
      withApp({ role: "command" }, (app) => reallyRefresh(app, account)),
    );
  },
});

async function reallyRefresh(app: App, named: string): Promise<Outcome> {
  const journal = await openJournal(app);
  try {
    const refreshing = { ...app, ...createRefreshParts(app, journal) };
    const requestId = `command-${app.replica.slice(0, 8)}`;
    const { account, generation, expiresAt } = await refreshNow(refreshing, named, requestId);
    const ends = expiresAt.toISOString();
    return {
      json: { account, generation, accessExpiresAt: ends },
      talk: `${account} is renewed: generation ${generation}, good until ${ends.slice(0, 16)} UTC.`,
    };
  } finally {
    journal.holders.leave();
  }
}

const mostShown = 20;

async function simulation(app: App, named: string | undefined): Promise<Outcome> {
  const wanted =
    named === undefined
      ? (await accountsFor(app.db, { page: 1, most: mostShown })).accounts
      : [await findAccount(app, named)];
  const read = await Promise.all(wanted.map(({ id }) => accountById(app.db, id)));
  const accounts = read.flatMap((each) => (each === undefined ? [] : [describeRefresh(app, each)]));
  const providers = await selfTested(
    app,
    new Set(accounts.map(({ account }) => account.split(":")[0])),
  );
  return {
    json: { accounts, providers },
    text: [...accounts.map(wordsFor), ...providers.map(tableFor)].join("\n\n"),
    talk: `No provider was asked, nothing was changed.${accounts.length === mostShown ? ` The ${mostShown} accounts that need it most are shown.` : ""}`,
  };
}

type Simulated = { readonly provider: string; readonly answers: readonly Consequence[] };

/** Of the providers whose accounts are shown; of all that are configured when there are no accounts. */
async function selfTested(app: App, named: ReadonlySet<string | undefined>): Promise<Simulated[]> {
  const settings = { ...environment(), PROVIDER_TIMEOUT_MS: "1000" };
  await using selfTest = await openSelfTest(app, settings, await loadRuntime());
  const profiles = selfTest.profiles.filter(({ name }) => named.size === 0 || named.has(name));
  const found: Simulated[] = [];
  for (const profile of profiles) {
    found.push({ provider: profile.name, answers: await consequences(selfTest, profile) });
  }
  return found;
}

function wordsFor(described: RefreshDescription): string {
  const { wouldSend, problem, lease, ...facts } = described;
  const lines = Object.entries(facts).flatMap(([name, value]) =>
    value === null || name === "account" ? [] : [`  ${name.padEnd(17)}${said(value)}`],
  );
  const held = lease === null ? "nobody" : `${lease.holder} until ${said(lease.until)}`;
  const sends =
    wouldSend === undefined ? [`nothing: ${problem}`] : [wouldSend.to, ...wouldSend.parameters];
  return [
    described.account,
    ...lines,
    `  ${"lease".padEnd(17)}${held}`,
    `  ${"would send".padEnd(17)}${sends.join(`\n${" ".repeat(19)}`)}`,
  ].join("\n");
}

function said(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}

function tableFor({ provider, answers }: Simulated): string {
  const rows = answers.map(({ answer, outcome, account, nextTrySeconds, isProviderClosed }) => [
    answer,
    outcome,
    account === "active" ? "kept" : "reconnect",
    isProviderClosed ? "closed" : nextTrySeconds === 0 ? "" : `${nextTrySeconds} s`,
  ]);
  return `If ${provider} answers:\n${table(["answer", "a call gets", "account", "again in"], rows)}`;
}
