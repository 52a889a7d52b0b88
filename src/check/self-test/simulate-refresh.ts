import { closedProviders } from "#src/accounts/circuit-breaker/store.ts";
import { readHeld } from "#src/accounts/credential.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { accountById } from "#src/accounts/store.ts";
import { type ErrorRule, type Provider, standardErrors } from "#src/providers/provider.ts";
import { asFailure } from "#src/failure.ts";
import type { Fault } from "#src/sandbox/faults.ts";
import { type SelfTest, connect } from "./environment.ts";
import { type Visitor, newVisitor } from "./visitor.ts";
import { forgetTrouble, secondsUntilRetry } from "./store.ts";

/** What one answer of a provider leads to. */
export type Consequence = {
  readonly answer: string;
  /** `renewed`, or the code that a call gets. */
  readonly outcome: string;
  /** State of the account afterwards. */
  readonly account: string;
  /** Until the provider is asked again for this account; 0 for at once, or never. */
  readonly nextTrySeconds: number;
  /** Whether the provider is not asked for any account meanwhile. */
  readonly isProviderClosed: boolean;
};

type Trial = { readonly answer: string; readonly fault: Fault | undefined };

/** Every answer that the profile knows, and those that no profile has to name. */
function trialsFor(profile: Provider): readonly Trial[] {
  const named = [...profile.errors, ...standardErrors].flatMap((rule) => trialOf(rule));
  const all: Trial[] = [
    { answer: "200 with tokens", fault: undefined },
    ...named,
    ...dialects,
    { answer: "429, Retry-After: 30", fault: { kind: "status", status: 429, retryAfter: 30 } },
    { answer: "500", fault: { kind: "status", status: 500 } },
    { answer: "503, Retry-After: 30", fault: { kind: "status", status: 503, retryAfter: 30 } },
    { answer: "403 with a firewall's page", fault: { kind: "firewall_page" } },
    { answer: "no answer in time", fault: { kind: "hang" } },
    { answer: "200, but cut off", fault: { kind: "truncated" } },
  ];
  return all.filter(({ answer }, at) => all.findIndex((each) => each.answer === answer) === at);
}

/** How a verdict is written elsewhere than in RFC 6749 section 5.2, and what only looks like one. */
const dialects: readonly Trial[] = [
  {
    answer: "200 bad_refresh_token",
    fault: { kind: "status", status: 200, body: { error: "bad_refresh_token" } },
  },
  {
    answer: "400 invalid_grant in error.code",
    fault: { kind: "status", status: 400, body: { error: { code: "invalid_grant" } } },
  },
  {
    answer: "400 invalid_grant, form-encoded",
    fault: { kind: "plain", status: 400, text: "error=invalid_grant" },
  },
  { answer: "404 without words", fault: { kind: "plain", status: 404, text: "" } },
];

const usualStatus = 400;

function trialOf({ status = usualStatus, code, text, means }: ErrorRule): readonly Trial[] {
  if (text !== undefined) {
    const answer = `${status} text ${text}`;
    // A verdict is never plain text.
    const isVerdict = means === "dead" || means === "application_refused";
    const body = { error: code, message: text };
    return [
      {
        answer,
        fault: isVerdict ? { kind: "status", status, body } : { kind: "plain", status, text },
      },
    ];
  }
  if (code === undefined) return [{ answer: String(status), fault: { kind: "status", status } }];
  const body = { error: code, message: code, status };
  return [{ answer: `${status} ${code}`, fault: { kind: "status", status, body } }];
}

/** Lets the simulated provider give each answer in turn to the very code that refreshes real accounts. */
export async function consequences(
  selfTest: SelfTest,
  profile: Provider,
): Promise<readonly Consequence[]> {
  const found: Consequence[] = [];
  const trying = { profile, visitor: newVisitor() };
  for (const trial of trialsFor(profile)) found.push(await tryOne(selfTest, trying, trial));
  return found;
}

async function tryOne(
  selfTest: SelfTest,
  { profile, visitor }: { readonly profile: Provider; readonly visitor: Visitor },
  trial: Trial,
): Promise<Consequence> {
  const { app, sandbox } = selfTest;
  const provider = sandbox.providers.get(profile.name);
  if (provider === undefined) throw new Error(`${profile.name} is not simulated`);
  await forgetTrouble(app.db);
  const { accountId } = await connect(selfTest, { provider: profile.name, visitor });
  if (trial.fault !== undefined) provider.faults.push(trial.fault);
  const held = await readHeld(app, accountId);
  if (held === undefined) throw new Error("no account was stored");
  const outcome = await renew(app, held, { requestId: "simulation" }).then(
    ({ generation }) => (generation > held.generation ? "renewed" : "unchanged"),
    (error: unknown) => asFailure(error).code,
  );
  provider.faults.length = 0;
  const account = await accountById(app.db, accountId);
  return {
    answer: trial.answer,
    outcome,
    account: account?.state ?? "gone",
    nextTrySeconds: Math.round(await secondsUntilRetry(app.db, accountId)),
    isProviderClosed: (await closedProviders(app.db)).length > 0,
  };
}
