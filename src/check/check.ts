import { ping } from "#db/ping.ts";
import { DatabaseProblem } from "#db/problem.ts";
import type { App } from "#src/app.ts";
import { within } from "#src/clock.ts";
import { pendingNames } from "#src/operations/migrate.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { type SelfTest, connect, openSelfTest } from "./self-test/environment.ts";
import { redact } from "#src/telemetry/redact.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { allAlerts } from "#src/operations/alerts/alert-store.ts";
import {
  type SelfTestDeps,
  clientsServed,
  healthAnswers,
  killSwitchHolds,
  limitsHold,
  oneRefresh,
  streamOpensAndEnds,
} from "./calls.ts";
import {
  argumentsClean,
  filesClosed,
  keysStrong,
  keysYoung,
  modeIsProduction,
  noEnvFile,
  nodeKeyOpens,
} from "./credentials.ts";
import {
  backupRecent,
  cleanupRuns,
  clocksAgree,
  constraintsThere,
  databaseItself,
} from "./database.ts";
import { type CheckResult, type Part, pass, problem, notExecuted } from "./result.ts";
import { oauthFlows } from "./flows.ts";
import { liveAccountsWork, providersKnowUs } from "./live.ts";
import { alertsArrive, canariesSilent } from "./observed.ts";
import { type Patience, partsOutside, throughPublicUrl } from "./public.ts";
import {
  addressesSafe,
  descriptorsEnough,
  namesKnown,
  providersConfigured,
  signUpClosed,
  troubleHeard,
} from "./settings.ts";
import {
  accountsSound,
  answersReadable,
  answersStored,
  journalWritable,
  keysInUse,
  providersOpen,
  switchesOn,
} from "./state.ts";
import { shopAsks } from "./shop.ts";
import { providersOfAccounts } from "./unconfigured.ts";

export type CheckOptions = {
  readonly environment: Environment;
  readonly runtime: Runtime;
  /** Nothing but this machine and the database. */
  readonly isOffline: boolean;
  /** Real accounts are asked who they are. */
  readonly isLive: boolean;
  /** `quick` executes no flows and waits for no quiet stream. */
  readonly patience: Patience;
};

type Deps = App & { readonly environment: Environment };

/** What is looked at where it stands; nothing is written but room in the journal, which is given back, and a node.key. */
const onThisMachine = [
  namesKnown,
  modeIsProduction,
  noEnvFile,
  keysStrong,
  nodeKeyOpens,
  filesClosed,
  argumentsClean,
  providersConfigured,
  addressesSafe,
  journalWritable,
  answersStored,
  answersReadable,
  backupRecent,
  troubleHeard,
  signUpClosed,
  descriptorsEnough,
] as const;

const inTheDatabase = [
  { chapter: 1, code: "signing_key", what: "Age of keys", look: keysYoung },
  { chapter: 1, code: "keys", what: "Keys that sealed what is stored", look: keysInUse },
  { chapter: 2, code: "providers", what: "State of providers", look: providersOpen },
  {
    chapter: 2,
    code: "providers_of_accounts",
    what: "Providers of the accounts",
    look: providersOfAccounts,
  },
  { chapter: 4, code: "database", what: "Version and rights", look: databaseItself },
  { chapter: 4, code: "constraints", what: "Constraints and indexes", look: constraintsThere },
  { chapter: 4, code: "clock", what: "The database's clock", look: clocksAgree },
  { chapter: 4, code: "accounts", what: "State of accounts", look: accountsSound },
  { chapter: 4, code: "cleanup", what: "Age of the last cleanup", look: cleanupRuns },
  { chapter: 5, code: "alerts", what: "Alerts", look: alertsQuiet },
  { chapter: 10, code: "switches", what: "Switches", look: switchesOn },
] as const satisfies readonly Part<Deps>[];

const flows = { chapter: 2, code: "oauth_flows", what: "OAuth flows", look: oauthFlows } as const;

/** In this order: the last one knows everything that was secret in what went before. */
const selfTested = [
  { chapter: 9, code: "client_served", what: "tools/list of each client", look: clientsServed },
  { chapter: 3, code: "one_refresh", what: "One refresh for many calls", look: oneRefresh },
  { chapter: 3, code: "stream_cancel", what: "A stream's end", look: streamOpensAndEnds },
  { chapter: 6, code: "health", what: "Health", look: healthAnswers },
  { chapter: 7, code: "flood_gates", what: "Limits", look: limitsHold },
  { chapter: 7, code: "shop_asks", what: "A seller's tools", look: shopAsks },
  { chapter: 10, code: "kill_switch", what: "The kill switch", look: killSwitchHolds },
  { chapter: 5, code: "alert_delivery", what: "An alert", look: alertsArrive },
  { chapter: 5, code: "canaries", what: "Planted secrets", look: canariesSilent },
] as const satisfies readonly Part<SelfTestDeps>[];

/**
 * The production checklist, executed: settings, files and the database as they are; every flow with this binary and
 * these settings on simulated providers; the running gateway through its public address. Never stops half-way.
 */
export async function check(app: App, options: CheckOptions): Promise<readonly CheckResult[]> {
  const { isLive, patience } = options;
  const isSelfTested = patience !== "quick";
  const leftOut = notExecuted([flows, ...selfTested], "--quick");
  const all = [
    lookedAtRest({ ...app, environment: options.environment }),
    isSelfTested ? runSelfTest(app, options) : Promise.resolve(leftOut),
    outside(app, options),
    ...(isLive ? [liveOnes(app, options)] : []),
  ];
  const found = (await Promise.all(all)).flat();
  return found.toSorted((left, right) => left.chapter - right.chapter);
}

async function lookedAtRest(app: Deps): Promise<readonly CheckResult[]> {
  const found: CheckResult[] = [];
  for (const each of onThisMachine) found.push(...(await looked(app, each.name, each)));
  const trouble = await databaseTrouble(app);
  if (trouble !== undefined) {
    return [...found, trouble, ...notExecuted(inTheDatabase, trouble.code)];
  }
  for (const { what, look } of inTheDatabase) found.push(...(await looked(app, what, look)));
  return found;
}

/** What is asked of others: the running gateway through PUBLIC_URL, and providers. */
async function outside(app: App, options: CheckOptions): Promise<readonly CheckResult[]> {
  const known = { chapter: 2, code: "application_known", what: "What providers know" } as const;
  if (options.isOffline) return notExecuted([...partsOutside, known], "--offline");
  const found = await Promise.all([
    looked(app, "PUBLIC_URL", (what) => throughPublicUrl(what, options.patience)),
    looked(app, known.what, providersKnowUs),
  ]);
  return found.flat();
}

/** Longer than any part takes that is well. */
const partMs = 120_000;

/** What cannot be looked at is a result too, and so is what does not end. */
async function looked<T>(
  subject: T,
  what: string,
  look: Part<T>["look"],
): Promise<readonly CheckResult[]> {
  try {
    const late = () => new Error(`no end after ${partMs / 1000} s`);
    return await within(partMs, Promise.resolve(look(subject)), late);
  } catch (error) {
    return [problem("not_looked_at", `${what}: ${reasonOf(error)}`)];
  }
}

/** Not `asFailure` alone: what a folder refuses is no database that is away. */
function reasonOf(error: unknown): string {
  const { code, message } = asFailure(error);
  const isOurs = error instanceof Failure || error instanceof DatabaseProblem;
  const words = isOurs || !(error instanceof Error) ? `${message} (${code})` : error.message;
  return redact(oneLine(words));
}

const answerMs = 5000;

/** Why the database cannot be looked at. */
async function databaseTrouble({ db, environment }: Deps): Promise<CheckResult | undefined> {
  try {
    await within(answerMs, ping(db), () => new Failure("database_unavailable"));
    const pending = await pendingNames(environment);
    if (pending.length === 0) return undefined;
    return problem("database_behind", `The database lacks ${pending.join(", ")}`);
  } catch (error) {
    const { code, message } = asFailure(error);
    return problem("database_unreachable", `${message} (${code})`);
  }
}

async function runSelfTest(app: App, options: CheckOptions): Promise<readonly CheckResult[]> {
  let world: SelfTest;
  try {
    world = await openSelfTest(app, options.environment, options.runtime);
  } catch (error) {
    const isOfSettings = error instanceof Failure && error.code === "settings_invalid";
    const code = isOfSettings ? "rehearsal_failed" : "rehearsal_impossible";
    return [problem(code, reasonOf(error)), ...notExecuted([flows, ...selfTested], code)];
  }
  try {
    return await selfTestedIn(world);
  } finally {
    // What it leaves behind the next one takes away.
    await Promise.allSettled([world[Symbol.asyncDispose]()]);
  }
}

async function selfTestedIn(selfTest: SelfTest): Promise<readonly CheckResult[]> {
  const found = [...(await looked(selfTest, flows.what, flows.look))];
  const first = selfTest.profiles[0]?.name ?? "";
  try {
    const connected = await connect(selfTest, { provider: first, seller: "100200301" });
    const selfTesting: SelfTestDeps = { ...selfTest, connected };
    for (const { what, look } of selfTested) found.push(...(await looked(selfTesting, what, look)));
  } catch (error) {
    found.push(problem("proxy_failed", `The self-test broke off: ${reasonOf(error)}`));
    found.push(...notExecuted(selfTested, "proxy_failed"));
  }
  return found;
}

/** Without a database there are none to ask. */
async function liveOnes(app: App, { isOffline }: CheckOptions): Promise<readonly CheckResult[]> {
  const part = { chapter: 9, code: "live_account", what: "Real accounts" } as const;
  if (isOffline) return notExecuted([part], "--offline");
  return await liveAccountsWork(app).catch((error: unknown) => [
    problem("live_failed", reasonOf(error)),
  ]);
}

async function alertsQuiet({ db }: App): Promise<readonly CheckResult[]> {
  const firing = (await allAlerts(db)).filter(({ state }) => state === "firing");
  if (firing.length === 0) return [pass(5, "alerts", "No alert fires")];
  return firing.map(({ summary }) => problem("alert_firing", summary));
}

function oneLine(text: string): string {
  return text
    .split("\n")
    .map((line) => line.trim())
    .join(" ");
}
