import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ownLike } from "#db/home.ts";
import type { App } from "#src/app.ts";
import { originAt } from "#src/config/load.ts";
import { isObject } from "#src/json.ts";
import type { Failure } from "#src/failure.ts";
import { createOutbound } from "#src/http/fetch-exchange.ts";
import { createLog } from "#src/telemetry/log.ts";
import { type AlertMessage, type Sink, sinksOf } from "./sinks.ts";

type Deps = Pick<App, "config" | "outbound" | "now" | "publicUrl" | "log">;

type LocalCondition = {
  readonly kind: string;
  readonly subject: string;
  readonly summary: string;
  readonly isFiring: boolean;
};

type Told = { readonly state: "firing" | "resolved"; readonly at: number };

/**
 * Tells of what a database cannot be asked about: by this process alone, with the same cool-down, which is kept in
 * SMARTDASH_HOME so that a gateway that is restarted every few seconds does not tell every few seconds. Never rejects.
 */
export async function tellLocally(app: Deps, condition: LocalCondition): Promise<void> {
  const { kind, subject, summary, isFiring } = condition;
  const state = isFiring ? "firing" : "resolved";
  if (!isNews(app, kind, state)) return;
  const now = app.now();
  app.log[isFiring ? "error" : "info"]("alert", { kind, subject, summary, state });
  const message: AlertMessage = {
    id: randomUUID(),
    state,
    kind,
    subject,
    summary,
    at: now,
    gateway: app.publicUrl,
  };
  const taken = await Promise.all(sinksOf(app).map((sink) => tellSink(app, sink, message)));
  // Nobody has heard of it: the next start, or the next look, tries again.
  if (taken.length > 0 && !taken.includes(true)) return;
  writeTold(app, kind, { state, at: now.getTime() });
}

function isNews(app: Deps, kind: string, state: Told["state"]): boolean {
  const before = readTold(app, kind);
  if ((before?.state ?? "resolved") === state) return false;
  const isQuiet =
    before !== undefined && app.now().getTime() - before.at < app.config.alerting.cooldownMs;
  return state === "resolved" || !isQuiet;
}

const [tries, pauseMs] = [3, 500];

async function tellSink(app: Deps, sink: Sink, message: AlertMessage): Promise<boolean> {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const { isTaken, reason } = await sink.deliver(message);
    if (isTaken) return true;
    const facts = { sink: sink.name, kind: message.kind, reason, tries: attempt };
    app.log.warn("alert_not_delivered", facts);
    if (attempt < tries) await sleep(pauseMs);
  }
  return false;
}

/** The database could not be opened at a start, or can again. Never rejects. */
export async function tellOfStart(
  config: App["config"],
  failure: Failure | undefined,
): Promise<void> {
  // There is no app yet.
  const now = () => new Date();
  const log = createLog({
    level: config.logLevel,
    now,
    write: (text) => process.stdout.write(text),
  });
  const publicUrl = originAt(config);
  const outbound = createOutbound(startPatienceMs);
  await tellLocally(
    { config, log, outbound, publicUrl, now },
    {
      kind: "database_init_failed",
      subject: "database",
      summary:
        failure === undefined
          ? "The gateway has started: its database is open again"
          : `The gateway cannot start: its database cannot be opened (${failure.code})`,
      isFiring: failure !== undefined,
    },
  );
  log.flush();
}

const startPatienceMs = 5000;

function fileIn({ config }: Deps): string {
  return join(config.home, "alerts.json");
}

function readAll(app: Deps): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(readFileSync(fileIn(app), "utf8"));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function readTold(app: Deps, kind: string): Told | undefined {
  const value = readAll(app)[kind];
  if (!isObject(value) || typeof value["at"] !== "number") return undefined;
  return { state: value["state"] === "firing" ? "firing" : "resolved", at: value["at"] };
}

function writeTold(app: Deps, kind: string, told: Told): void {
  try {
    mkdirSync(app.config.home, { recursive: true });
    writeFileSync(fileIn(app), JSON.stringify({ ...readAll(app), [kind]: told }), { mode: 0o600 });
    ownLike(app.config.home, fileIn(app));
  } catch {
    // Then it may be told again.
  }
}
