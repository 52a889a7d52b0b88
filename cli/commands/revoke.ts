import { openJournal } from "#src/accounts/journal/journal.ts";
import { createRefreshParts } from "#src/accounts/refresh/deps.ts";
import type { Disconnected } from "#src/accounts/revocation/disconnect.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import {
  type Plan,
  type Revoked,
  planRevocation,
  revokeAll,
} from "#src/operations/revoke/revoke.ts";
import type { LiveCounts, Selection } from "#src/operations/revoke/store.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
import { type Outcome, command, withApp } from "../command.ts";
import { agrees, patiently, tell } from "../terminal.ts";

const kinds = ["account", "agent", "session", "grant", "person", "provider"] as const;

export const revoke = command({
  name: "revoke",
  description: "Revoke an account (also at its provider), an agent, a session, a grant or a person",
  examples: [
    "smartdash revoke --account mercadolibre:100200300",
    "smartdash revoke --agent agent_… --yes",
    "smartdash revoke --provider airtable --yes --json",
  ],
  args: {
    account: { type: "string", description: "An account: its id, or provider:seller" },
    agent: { type: "string", description: "An agent: its client id" },
    session: { type: "string", description: "A session: its id" },
    grant: { type: "string", description: "What a person allowed an agent: its id" },
    person: { type: "string", description: "Everything of a person: its id" },
    provider: { type: "string", description: "Every account at a provider: its name" },
    yes: { type: "boolean", description: "Do it without asking; for scripts" },
  },
  run: async (args) => {
    const selection = selectionIn(args);
    return await withApp({ role: "command" }, async (app) => {
      const plan = await planRevocation(app, selection);
      tell(wordsForPlan(plan));
      if (args.yes !== true && !(await agrees("End all of this?"))) {
        throw new Failure("usage", "Nothing was changed", { hint: "Add --yes to end it" });
      }
      return outcomeOf(plan, await withJournal(app, plan));
    });
  },
});

function selectionIn(args: { readonly [K in (typeof kinds)[number]]?: string | undefined }) {
  const given = kinds.flatMap((kind): Selection[] => {
    const id = args[kind];
    return id === undefined || id === "" ? [] : [{ kind, id }];
  });
  const [only] = given;
  if (only !== undefined && given.length === 1) return only;
  throw new Failure("usage", "Say what to end, with exactly one option", {
    hint: kinds.map((kind) => `--${kind}`).join(", "),
  });
}

async function withJournal(app: App, plan: Plan): Promise<Revoked> {
  const journal = await openJournal(app);
  try {
    const refreshing = { ...app, ...createRefreshParts(app, journal) };
    let done = 0;
    const work = revokeAll(refreshing, plan, (count) => {
      done = count;
    });
    return await patiently(() => `Disconnected ${done} of ${plan.accounts.length} accounts`, work);
  } finally {
    journal.holders.leave();
  }
}

const mostNamed = 20;

function wordsForPlan({ selection, accounts, living }: Plan): string {
  const names = accounts.slice(0, mostNamed).map((each) => `${each.provider}:${each.sellerId}`);
  const more = accounts.length > mostNamed ? ` and ${accounts.length - mostNamed} more` : "";
  const named =
    names.length === 0 ? `${selection.kind} ${selection.id}` : `${names.join(", ")}${more}`;
  return `${named}: ${counted(living)}.`;
}

function counted({ sessions, grants, agents, signIns }: LiveCounts): string {
  const browsers = signIns === 0 ? "" : `, browsers ${signIns}`;
  return `sessions ${sessions}, grants ${grants}, own agents ${agents}${browsers}`;
}

function outcomeOf(plan: Plan, done: Revoked): Outcome {
  const { left } = done;
  const told = acknowledgedOutcome(done.acknowledged);
  const { sessions, grants, agents } = plan.living;
  const liveTokens = left.sessions + left.grants + left.refreshTokens + left.signIns;
  const [first] = done.accounts;
  const pending = done.accounts.filter(({ atProvider }) => atProvider === "pending").length;
  const accountsLeft = left.accounts === 0 ? "" : ` Accounts left: ${left.accounts}.`;
  const proof = `Live tokens left: ${liveTokens}. ${told.text}${accountsLeft}`;
  const lines = done.accounts.length > mostNamed ? [] : done.accounts.map(wordsFor);
  return {
    json: {
      ...plan.selection,
      ...(first === undefined ? {} : { accountId: first.id, atProvider: first.atProvider }),
      accounts: done.accounts,
      sessions,
      grants,
      agents,
      left,
      liveTokensLeft: liveTokens,
      ...told.json,
    },
    talk: [...lines, proof, ...told.talk].join("\n"),
    ...(pending > 0 ? { exit: 75 } : {}),
    ...told.exit,
    ...(liveTokens + left.accounts > 0 ? { exit: 1 } : {}),
  };
}

function wordsFor({ atProvider, page, reason, name }: Disconnected & { name: string }): string {
  const where = page === undefined ? "" : `, at ${page}`;
  const words = {
    taken_back: `${name} is disconnected, and the provider has taken the access back.`,
    already_gone: `${name} is disconnected; the provider had ended the access before.`,
    pending:
      reason === "provider_not_configured"
        ? `${name} cannot be used here any more. Left: its provider is not configured for this command, so the access there was not taken back; a running gateway that has its settings does that, or its person${where}.`
        : `${name} cannot be used here any more. Left: the provider has not confirmed (${reason ?? "no answer"}); a running gateway goes on asking.`,
    by_hand: `${name} is disconnected here. Left: its person takes the access back at the provider${where}.`,
  };
  return words[atProvider];
}
