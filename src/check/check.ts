import { ping } from "#db/ping.ts";
import type { App } from "#src/app.ts";
import { within } from "#src/once.ts";
import { pendingNames } from "#src/upkeep/migrate.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { type Rehearsal, connect, openRehearsal } from "#src/rehearsal/rehearsal.ts";
import { redact } from "#src/telemetry/redact.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { allAlerts } from "#src/upkeep/alerts/store.ts";
import {
  type Rehearsing,
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
import { type Finding, pass, problem } from "./finding.ts";
import { oauthFlows } from "./flows.ts";
import { liveAccountsWork, providersKnowUs } from "./live.ts";
import { alertsArrive, canariesSilent } from "./observed.ts";
import { type Patience, throughPublicUrl } from "./public.ts";
import {
  addressesSafe,
  descriptorsEnough,
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

type Checking = App & { readonly environment: Environment };

/** What is looked at where it stands; nothing is written but room in the journal, which is given back, and a node.key. */
const onThisMachine = [
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
  keysYoung,
  keysInUse,
  providersOpen,
  databaseItself,
  constraintsThere,
  clocksAgree,
  accountsSound,
  cleanupRuns,
  alertsQuiet,
  switchesOn,
] as const;

/** In this order: the last one knows everything that was secret in what went before. */
const rehearsed = [
  clientsServed,
  oneRefresh,
  streamOpensAndEnds,
  healthAnswers,
  limitsHold,
  killSwitchHolds,
  alertsArrive,
  canariesSilent,
] as const;

/**
 * The production checklist, executed: settings, files and the database as they are; every flow with this binary and
 * these settings on simulated providers; the running gateway through its public address. Never stops half-way.
 */
export async function check(app: App, options: CheckOptions): Promise<readonly Finding[]> {
  const { isOffline, isLive, patience } = options;
  const all = [
    standingFindings({ ...app, environment: options.environment }),
    ...(patience === "quick" ? [] : [rehearse(app, options)]),
    ...(isOffline ? [] : [throughPublicUrl(app, patience), providersKnowUs(app)]),
    ...(isLive && !isOffline ? [liveOnes(app)] : []),
  ];
  const found = (await Promise.all(all)).flat();
  return found.toSorted((left, right) => left.chapter - right.chapter);
}

async function standingFindings(app: Checking): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const each of onThisMachine) found.push(...(await looked(app, each)));
  const trouble = await databaseTrouble(app);
  if (trouble !== undefined) return [...found, trouble];
  for (const each of inTheDatabase) found.push(...(await looked(app, each)));
  return found;
}

type Look<T> = (what: T) => readonly Finding[] | Promise<readonly Finding[]>;

/** What cannot be looked at is a finding too. */
async function looked<T>(what: T, look: Look<T>): Promise<readonly Finding[]> {
  try {
    return await look(what);
  } catch (error) {
    const { code, message } = asFailure(error);
    const reason = code === "internal" && error instanceof Error ? error.message : message;
    return [problem("not_looked_at", `${look.name}: ${redact(reason).split("\n")[0]} (${code})`)];
  }
}

const answerMs = 5000;

/** Why the database cannot be looked at. */
async function databaseTrouble({ db, environment }: Checking): Promise<Finding | undefined> {
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

async function rehearse(app: App, options: CheckOptions): Promise<readonly Finding[]> {
  let world: Rehearsal;
  try {
    world = await openRehearsal(app, options.environment, options.runtime);
  } catch (error) {
    const { code, message } = asFailure(error);
    const isMissing = options.runtime.installPostgres === undefined || code !== "settings_invalid";
    const words = `${oneLine(message)} (${code})`;
    return [problem(isMissing ? "rehearsal_impossible" : "rehearsal_failed", words)];
  }
  await using rehearsal = world;
  const found = [...(await oauthFlows(rehearsal))];
  const first = rehearsal.profiles[0]?.name ?? "";
  try {
    const connected = await connect(rehearsal, { provider: first, seller: "100200301" });
    const rehearsing: Rehearsing = { ...rehearsal, connected };
    for (const each of rehearsed) found.push(...(await looked(rehearsing, each)));
  } catch (error) {
    const reason =
      error instanceof Failure || !(error instanceof Error) ? asFailure(error).code : error.message;
    found.push(problem("proxy_failed", `The rehearsal broke off: ${reason}`));
  }
  return found;
}

/** Without a database there are none to ask. */
function liveOnes(app: App): Promise<readonly Finding[]> {
  return liveAccountsWork(app).catch((error: unknown) => [
    problem("live_failed", asFailure(error).message),
  ]);
}

async function alertsQuiet({ db }: App): Promise<readonly Finding[]> {
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
