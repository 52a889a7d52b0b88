import { findAccount } from "#src/accounts/find-account.ts";
import { verifyDay } from "#src/proxy/audit.ts";
import { type StoredCall, someCalls } from "#src/proxy/call-store.ts";
import { Failure } from "#src/failure.ts";
import { expectUpstream } from "#src/policy/tools/review.ts";
import { command, group, withApp } from "../command.ts";
import { patiently, table } from "../terminal.ts";

const text = (description: string) => ({ type: "string", description }) as const;

const list = command({
  name: "calls list",
  description: "Search the audit trail: who called what, how it ended, what a guard decided",
  examples: [
    "smartdash calls list",
    "smartdash calls list --guarded --since 1d",
    "smartdash calls list --account mercadolibre:100200300 --tool 'update_*' --json",
  ],
  args: {
    since: { ...text("How far back: 30m, 6h, 7d"), default: "1h" },
    upstream: text("Only of this upstream"),
    tool: text("Only this tool, prompt or resource; * stands for anything"),
    agent: text("Only this agent: a client id, or the id of a permission or session"),
    account: text("Only on this account: provider:seller, or its id"),
    request: text("Only the call with this request id"),
    guarded: { type: "boolean", description: "Only calls that a guard had something to say about" },
    limit: { ...text("How many at most"), default: "50" },
  },
  run: async (args) => {
    const [ageMs, most] = [ageIn(args.since), Number(args.limit)];
    if (!Number.isInteger(most) || most < 1 || most > 10_000) {
      throw new Failure("usage", "--limit is a whole number from 1 to 10000");
    }
    const calls = await withApp({ role: "command" }, async (app) => {
      const account = args.account === undefined ? undefined : await findAccount(app, args.account);
      const found = await someCalls(app.db, {
        since: new Date(app.now().getTime() - ageMs),
        upstream: args.upstream,
        tool: args.tool,
        // As budgets, switches and alerts name it.
        agent: args.agent?.replace(/^(?:session|grant|agent):/, ""),
        accountId: account?.id,
        requestId: args.request,
        isGuarded: args.guarded === true,
        most,
      });
      // One that is configured no more may still have its calls.
      if (found.length === 0 && args.upstream !== undefined) expectUpstream(app, args.upstream);
      return found;
    });
    if (calls.length === 0) {
      return { json: { calls }, talk: `There was none in the last ${args.since} (--since).` };
    }
    const lines = calls.map((call) => [
      call.at.toISOString().slice(5, 19),
      `${call.status}`,
      [endOf(call), call.upstream, call.rpcMethod ?? call.httpMethod, call.name, whose(call)]
        .filter((each) => each !== null && each !== "")
        .join(" "),
    ]);
    const headings = ["at (UTC)", "status", "guard or failure, call, whose"];
    return { json: { calls: calls.map(shown) }, text: table(headings, lines) };
  },
});

/** What a guard said, and what went wrong where that is something else. */
function endOf({ guard, failure }: StoredCall): string {
  return [...new Set([guard, failure])].filter((each) => each !== null).join(" ");
}

/** As budgets, limits and switches name it. */
function whose({ grantId, sessionId, agentId }: StoredCall): string {
  if (grantId !== null) return `grant:${grantId}`;
  if (sessionId !== null) return `session:${sessionId}`;
  return agentId === null ? "" : `agent:${agentId}`;
}

function shown({ id, at, ...call }: StoredCall) {
  return { id, at: at.toISOString(), ...call };
}

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30m`, `6h`, `7d` in milliseconds. Failures: `usage`. */
function ageIn(given: string): number {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(given) ?? [];
  if (unit === "m" || unit === "h" || unit === "d") return Number(count) * unitMs[unit];
  throw new Failure("usage", "--since is like 30m, 6h or 7d");
}

const verify = command({
  name: "calls verify",
  description: "Verify that the audit trail of a day was not changed",
  examples: ["smartdash calls verify", "smartdash calls verify --day 2026-11-26 --json"],
  args: { day: text("The day (UTC); today without it") },
  run: async ({ day }) => {
    const work = withApp({ role: "command" }, (app) =>
      verifyDay(app, day ?? app.now().toISOString().slice(0, 10)),
    );
    const found = await patiently(() => "Reading the day", work);
    const { calls, batches, broken, changed, missing } = found;
    const isWhole = broken === 0 && changed === 0 && missing === 0;
    const counts = `${calls} calls in ${batches} batches`;
    const wrong = `links broken: ${broken}, calls changed or added: ${changed}, calls missing: ${missing}`;
    return {
      json: { ...found, isWhole },
      text: isWhole
        ? `${found.day}: ${calls === 0 ? "no calls, nothing to prove" : `${counts}, as they were written`}.`
        : `${found.day}: ${counts}; ${wrong}.`,
      ...(isWhole ? {} : { exit: 1 }),
    };
  },
});

export const calls = group({
  name: "calls",
  description: "Search and verify the audit trail of calls",
  subCommands: { list, verify },
});
