import { readHeld } from "#src/accounts/credential.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { accountById } from "#src/accounts/store.ts";
import type { Provider } from "#src/providers/provider.ts";
import { asFailure } from "#src/failure.ts";
import { type SelfTest, connect } from "./self-test/environment.ts";
import { type Visitor, locationOf, newVisitor, walkToCallback } from "./self-test/visitor.ts";
import { type CheckResult, pass, problem } from "./result.ts";

/** Chapter 2, executed with every configured profile on its simulated provider. */
export async function oauthFlows(selfTest: SelfTest): Promise<readonly CheckResult[]> {
  const found: CheckResult[] = [];
  for (const profile of selfTest.profiles) {
    const trying = { profile, visitor: newVisitor() };
    for (const { step, run } of steps) {
      const trouble = await run(selfTest, trying).catch((error: unknown) => reasonOf(error));
      found.push(
        trouble === undefined
          ? pass(2, `oauth_${step}`, `${profile.name}: ${words[step]}`)
          : problem("oauth_flow_failed", `${profile.name}, ${step}: ${trouble}`),
      );
    }
  }
  return found;
}

function reasonOf(error: unknown): string {
  const { code, message } = asFailure(error);
  return code === "internal" && error instanceof Error ? error.message : `${code}: ${message}`;
}

/** What went wrong, or nothing. */
type Run = (selfTest: SelfTest, trying: FlowContext) => Promise<string | undefined>;

/** One browser for all: whoever is known by a team alone is not signed in by it a second time. */
type FlowContext = { readonly profile: Provider; readonly visitor: Visitor };

const words = {
  request: "the authorization request carries state and, where it is used, PKCE (S256)",
  connect: "an account can be connected",
  state: "a state works once, and only in the browser that began",
  rotation: "a refresh stores the new refresh token, and the old one is not sent again",
  invalid_grant: "invalid_grant ends the account, and the provider is not asked again",
  reauthorization: "an ended account is connected again by its link",
} as const;

const steps: readonly { readonly step: keyof typeof words; readonly run: Run }[] = [
  { step: "request", run: requestIsSafe },
  { step: "connect", run: canConnect },
  { step: "state", run: stateWorksOnce },
  { step: "rotation", run: rotates },
  { step: "invalid_grant", run: invalidGrantEnds },
  { step: "reauthorization", run: reconnects },
];

async function requestIsSafe({ url, app }: SelfTest, { profile }: FlowContext) {
  const begun = await newVisitor().get(`${url}/auth/authorize?provider=${profile.name}`);
  const asked = new URL(locationOf(begun)).searchParams;
  if ((asked.get("state") ?? "").length < 22) return "the state is too short";
  const isOff = profile.pkce === "off" || app.config.registrations[profile.name]?.pkce === false;
  const isProven = asked.get("code_challenge_method") === "S256";
  return isOff || isProven ? undefined : "there is no S256 code challenge";
}

async function canConnect(selfTest: SelfTest, { profile, visitor }: FlowContext) {
  await connect(selfTest, { provider: profile.name, visitor });
  return undefined;
}

async function stateWorksOnce({ url }: SelfTest, { profile, visitor }: FlowContext) {
  const callback = await walkToCallback(visitor, { url, provider: profile.name });
  if ((await newVisitor().get(callback)).status < 400) return "another browser could use the state";
  if ((await visitor.get(callback)).status !== 303) return "the right browser was refused";
  return (await visitor.get(callback)).status < 400 ? "the state worked twice" : undefined;
}

async function rotates(selfTest: SelfTest, { profile, visitor }: FlowContext) {
  const { app, sandbox } = selfTest;
  const { accountId } = await connect(selfTest, { provider: profile.name, visitor });
  const provider = sandbox.providers.get(profile.name);
  const reusedBefore = provider?.grants.reused() ?? 0;
  for (let turn = 0; turn < 2; turn++) {
    const held = await readHeld(app, accountId);
    if (held === undefined) return "no account was stored";
    const renewed = await renew(app, held, { requestId: "check" });
    if (renewed.generation !== held.generation + 1) return "the new credential was not stored";
  }
  const reused = (provider?.grants.reused() ?? 0) - reusedBefore;
  return reused === 0 ? undefined : "a used refresh token was sent again";
}

async function invalidGrantEnds(selfTest: SelfTest, { profile, visitor }: FlowContext) {
  const { app, sandbox } = selfTest;
  const { accountId } = await connect(selfTest, { provider: profile.name, visitor });
  const provider = sandbox.providers.get(profile.name);
  if (provider === undefined) return "it is not simulated";
  const before = provider.asked.refresh_token;
  const body = { error: "invalid_grant", message: "invalid_grant", status: 400 };
  provider.faults.push({ kind: "status", status: 400, body });
  for (let turn = 0; turn < 3; turn++) {
    const held = await readHeld(app, accountId);
    if (held === undefined) return "the account is gone";
    const code = await renew(app, held, { requestId: "check" }).then(
      () => "renewed",
      (error: unknown) => asFailure(error).code,
    );
    if (code !== "reconnect_needed") return `a call got ${code}`;
  }
  const asked = provider.asked.refresh_token - before;
  if (asked !== 1) return `the provider was asked ${asked} times`;
  const account = await accountById(app.db, accountId);
  return account?.state === "reconnect_required" ? undefined : `the account is ${account?.state}`;
}

async function reconnects(selfTest: SelfTest, { profile, visitor }: FlowContext) {
  const { app, url } = selfTest;
  const provider = profile.name;
  const { accountId } = await connect(selfTest, { provider, visitor });
  const callback = await walkToCallback(visitor, { url, provider, again: accountId });
  const done = await visitor.get(callback);
  if (done.status !== 303) return `the callback answered ${done.status}`;
  const account = await accountById(app.db, accountId);
  return account?.state === "active" ? undefined : `the account is ${account?.state}`;
}
