import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { recordEvent } from "#db/events.ts";
import type { Journal } from "#src/accounts/journal/journal.ts";
import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { endsWithin, timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { cleanupTask, overdueDays } from "../cleanup/cleanup.ts";
import { secondsSince, takeTask, taskDone } from "../store.ts";
import { agentsStopped, budgetsLow, toolsHeld } from "./guard-condition-store.ts";
import {
  callsBroken,
  credentialsRefused,
  journalsUnavailable,
  providersClosed,
  upstreamsFailing,
} from "./outage-condition-store.ts";
import { lookAtCertificate } from "./certificate-probe.ts";
import { tellLocally } from "./local.ts";
import { type AlertMessage, type Delivery, type Sink, sinksOf } from "./sinks.ts";
import {
  type Condition,
  accountsLost,
  applicationsRefused,
  certificateEnding,
  documentsDrifted,
  endpointsChanged,
  refreshesFailing,
  signingKeyOld,
  tokensLapsing,
} from "./condition-store.ts";
import {
  type Alert,
  acknowledgeAlert,
  mostTries,
  savePending,
  saveConditions,
  takeUndelivered,
  takePending,
} from "./alert-store.ts";

export type AlertDeps = Pick<
  App,
  "db" | "config" | "log" | "outbound" | "now" | "publicUrl" | "replica" | "random"
>;

type Deps = AlertDeps & { readonly journal: Pick<Journal, "look"> };

export type AlertWatch = { stop(): Promise<void> };

const [everyMs, everySeconds, pingSeconds] = [15_000, 10, 60];
const leaveMs = 1000;
/** A database that is away for a moment is nobody's business. */
const patienceMs = 60_000;
const daySeconds = 86_400;

/** Every replica asks; one of them at a time looks, for all. */
export function startAlerts(app: Deps): AlertWatch {
  const stopping = new AbortController();
  const running = lookOn(app, stopping.signal);
  return {
    // A sink that hangs does not hold up whoever leaves: another replica sends what it has not taken.
    stop: async () => {
      stopping.abort();
      await endsWithin(running, leaveMs);
    },
  };
}

async function lookOn(app: Deps, stopping: AbortSignal): Promise<void> {
  let awaySince: number | undefined;
  while (!stopping.aborted) {
    const pauseMs = everyMs * (0.75 + app.random() / 2);
    await sleep(pauseMs, undefined, { signal: stopping, ref: false }).catch(() => undefined);
    if (stopping.aborted) return;
    const failure = await lookAtAll(app).then(
      () => {
        app.log.over("alerts_not_evaluated");
        return undefined;
      },
      (error: unknown) => databaseFailure(app, error),
    );
    awaySince = failure === undefined ? undefined : (awaySince ?? app.now().getTime());
    await tellOfDatabase(app, failure, awaySince);
  }
}

/** Anything else that goes wrong here is in the log alone. */
function databaseFailure(app: AlertDeps, error: unknown): Failure | undefined {
  app.log.lasting("alerts_not_evaluated", errorFields(error));
  const failure = asFailure(error);
  return failure.code.startsWith("database_") ? failure : undefined;
}

/** What needs a database cannot tell that there is none. */
async function tellOfDatabase(app: AlertDeps, failure: Failure | undefined, since?: number) {
  if (since !== undefined && app.now().getTime() - since < patienceMs) return;
  await tellLocally(app, {
    kind: "database_unavailable",
    subject: "database",
    summary:
      failure === undefined
        ? "The database answers again"
        : `The database has not answered for a minute (${failure.code})`,
    isFiring: failure !== undefined,
  });
}

/** Each gateway knows its own journal alone. */
async function lookAtAll(app: Deps): Promise<void> {
  if ((await app.journal.look()) !== "pass") {
    const event = { name: "journal_unavailable", subject: hostname() } as const;
    await timely(recordEvent(app.db, event));
  }
  await look(app);
}

async function look(app: AlertDeps): Promise<void> {
  const task = { name: "alerts", holder: app.replica, everySeconds };
  if (!(await timely(takeTask(app.db, task)))) return;
  await lookAtCertificate(app);
  const found = await evaluate(app);
  await timely(taskDone(app.db, "alerts", { firing: found.length }));
  if (found.length === 0) await reassure(app);
}

/** Finds what is wrong, tells what is new about it. Returns what fires. */
export async function evaluate(app: AlertDeps): Promise<readonly Condition[]> {
  const conditions = [];
  for (const find of conditionQueries) conditions.push(...(await timely(find(app.db))));
  await timely(saveConditions(app.db, conditions));
  const sinks = sinksOf(app);
  const names = sinks.map(({ name }) => name);
  for (const alert of await timely(takePending(app.db, names, app.config.alerting.cooldownMs))) {
    const { kind, subject, summary, state } = alert;
    app.log[state === "firing" ? "error" : "info"]("alert", { kind, subject, summary, state });
  }
  const waiting = await timely(takeUndelivered(app.db));
  await Promise.all(waiting.map((alert) => deliver(app, alert, sinks)));
  return conditions;
}

const conditionQueries = [
  refreshesFailing,
  upstreamsFailing,
  callsBroken,
  credentialsRefused,
  providersClosed,
  journalsUnavailable,
  accountsLost,
  applicationsRefused,
  tokensLapsing,
  documentsDrifted,
  endpointsChanged,
  certificateEnding,
  signingKeyOld,
  cleanupOverdue,
  toolsHeld,
  agentsStopped,
  budgetsLow,
] as const;

async function cleanupOverdue(db: App["db"]): Promise<Condition[]> {
  const seconds = await secondsSince(db, cleanupTask);
  if (seconds < overdueDays * daySeconds) return [];
  const summary = `smartdash cleanup has not run for ${Math.floor(seconds / daySeconds)} days`;
  return [{ kind: "cleanup_overdue", subject: "cleanup", summary }];
}

export type Delivered = Delivery & { readonly sink: string };

async function deliverTo(sink: Sink, message: AlertMessage): Promise<Delivered> {
  return { sink: sink.name, ...(await sink.deliver(message)) };
}

/** Each sink that has not taken it is tried once a look, five times in all. */
async function deliver(app: AlertDeps, alert: Alert, sinks: readonly Sink[]): Promise<void> {
  const waiting = sinks.filter(({ name }) => alert.pending.includes(name));
  const message = messageOf(app, alert);
  const outcomes = await Promise.all(waiting.map((sink) => deliverTo(sink, message)));
  const failed = outcomes.filter(({ isTaken }) => !isTaken);
  const { tries } = alert;
  const isOver = tries >= mostTries;
  for (const { sink, reason } of failed) {
    const facts = { sink, kind: alert.kind, reason, tries };
    app.log[isOver ? "error" : "warn"](isOver ? "alert_given_up" : "alert_not_delivered", facts);
  }
  const pending = isOver ? [] : failed.map(({ sink }) => sink);
  await timely(savePending(app.db, alert, pending));
}

function messageOf(app: AlertDeps, alert: Alert): AlertMessage {
  const { kind, subject, summary, told, messageId, toldAt } = alert;
  const [id, at] = [messageId ?? randomUUID(), toldAt ?? app.now()];
  return { id, state: told ?? "firing", kind, subject, summary, at, gateway: app.publicUrl };
}

/** A monitor that hears nothing for a while raises the alarm by itself. */
async function reassure(app: AlertDeps): Promise<void> {
  const { healthchecks } = app.config.alerting;
  if (healthchecks === undefined) return;
  const task = { name: "healthchecks", holder: app.replica, everySeconds: pingSeconds };
  if (!(await timely(takeTask(app.db, task)))) return;
  try {
    await app.outbound(healthchecks.reveal(), { method: "POST", headers: {}, body: "" });
    await timely(taskDone(app.db, "healthchecks", {}));
  } catch (error) {
    app.log.warn("healthchecks_not_pinged", errorFields(error));
  }
}

/** Sends a message to every sink that says that it is a test. */
export async function testAlerts(
  app: Pick<App, "config" | "outbound" | "now" | "publicUrl">,
): Promise<readonly Delivered[]> {
  const message: AlertMessage = {
    id: randomUUID(),
    state: "test",
    kind: "test",
    subject: "alerts",
    summary: "This is a test of smartdash alerts; nothing is wrong",
    at: app.now(),
    gateway: app.publicUrl,
  };
  return await Promise.all(sinksOf(app).map((sink) => deliverTo(sink, message)));
}

/**
 * Notes that somebody has seen an alert that fires, until it fires anew. It is sent no less often for that.
 * Failures: `usage` when none of the name fires.
 */
export async function acknowledge(
  app: Pick<App, "db" | "log">,
  seen: { readonly kind: string; readonly subject: string; readonly by: string },
): Promise<void> {
  const { kind, subject, by } = seen;
  if (!(await timely(acknowledgeAlert(app.db, { kind, subject }, by)))) {
    throw new Failure("usage", `No alert ${kind} about ${subject} is open`, {
      hint: "smartdash alerts list shows them",
    });
  }
  app.log.info("alert_acknowledged", { kind, subject, by });
}
