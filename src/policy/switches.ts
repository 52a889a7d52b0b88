import type { Topic } from "#db/topics.ts";
import { databaseNow } from "#db/ping.ts";
import type { Acknowledged } from "#db/replicas.ts";
import { findAccount } from "#src/accounts/find-account.ts";
import { policyIdNamed } from "#src/oauth-server/grants/store.ts";
import type { App } from "#src/app.ts";
import { acknowledged } from "#src/bus.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { type ReplicatedTable, createReplicatedTable } from "./replicated-table.ts";
import {
  type Switch,
  allSwitches,
  isKnownSubject,
  removeSwitch,
  saveSwitch,
  stoppedAmong,
} from "./switch-store.ts";

/** What the operator has switched off, and which agents were stopped, as this process knows it. */
export type Switches = Pick<ReplicatedTable, "load" | "stop"> & {
  /**
   * Whether none of these is off; the widest first (see `topicsOfCaller`). Asks nobody.
   * Failures: `upstream_switched_off`, `switched_off`, `agent_stopped`, `database_unavailable`.
   */
  check(topics: readonly string[]): void;
  /** The upstreams that are off. */
  off(): readonly string[];
  /** What is off of exactly this subject. */
  find(subject: string): Switch | undefined;
  /** Whether exactly this subject is off. */
  isOff(subject: string): boolean;
  /** Reads them when something was switched, or may have been. Failures: `database_unavailable`. */
  hear(topics: readonly Topic[]): Promise<void>;
};

/** The topic with which every stream that is about `subject` is told that it is off. */
export function switchedOff(subject: string): Topic {
  return `off:${subject}`;
}

const retryAfterSeconds = 60;

/** Told within two seconds to every replica; see `createReplicatedTable`. */
export function createSwitches(app: Pick<App, "db" | "log" | "now">): Switches {
  let off: ReadonlyMap<string, Switch> = new Map();
  const table = createReplicatedTable(app, {
    name: "switches",
    read: () => timely(allSwitches(app.db)),
    keep: (rows: readonly Switch[]) => {
      off = new Map(rows.map((row) => [row.subject, row]));
    },
  });
  return {
    load: () => table.load(),
    stop: () => table.stop(),
    check(topics) {
      if (performance.now() > table.holdsUntil) throw new Failure("database_unavailable");
      if (off.size === 0) return;
      for (const subject of topics) {
        const found = off.get(subject);
        if (found !== undefined) throw refusal(found);
      }
    },
    off: () =>
      [...off.keys()].flatMap((subject) =>
        subject.startsWith("upstream:") ? [subject.slice("upstream:".length)] : [],
      ),
    find: (subject) => off.get(subject),
    isOff: (subject) => off.has(subject),
    async hear(topics) {
      if (topics.some((subject) => /^(off|on):/.test(subject))) await table.changed();
    },
  };
}

function refusal({ subject, reason, by }: Switch): Failure {
  const why = reason === null ? "" : `: ${reason}`;
  if (by === "guard") {
    return new Failure(
      "agent_stopped",
      `This agent was stopped because it went round in circles${why}. Do not try again. The person it works for, or the operator, can let it go on.`,
    );
  }
  const [kind, name = ""] = subject.split(/:(.*)/s);
  const what = kind === "all" ? "all MCP servers" : kind === "upstream" ? name : `this ${kind}`;
  return new Failure(
    kind === "upstream" ? "upstream_switched_off" : "switched_off",
    `The operator has switched ${what} off for a while${why}. Do not try again before a minute has passed; nothing is lost.`,
    { retryAfterSeconds },
  );
}

type SwitchedOff = {
  readonly subject: string;
  /** Whether anything of the name has been here; an upstream, provider or account always. */
  readonly isKnown: boolean;
  readonly acknowledged: Acknowledged;
};

type Deps = Pick<App, "db" | "catalog" | "log">;

/**
 * Switches something off on every gateway; its streams end. Returns when every gateway that runs has acknowledged it,
 * after two seconds at most. The reason is told to agents.
 * Failures: `usage` when there is no such thing.
 */
export async function switchOff(
  app: Deps,
  given: string,
  { reason, by = "operator" }: { readonly reason?: string | undefined; readonly by?: string } = {},
): Promise<SwitchedOff> {
  const subject = await readSubject(app, given);
  const since = await databaseNow(app.db);
  const row = { subject, reason: reason?.slice(0, 200) ?? null, by };
  await timely(saveSwitch(app.db, row, switchedOff(subject)));
  app.log.warn("switched_off", { subject, by });
  const isKnown = await timely(isKnownSubject(app.db, subject));
  return { subject, isKnown, acknowledged: await acknowledged(app, [switchedOff(subject)], since) };
}

/** What was switched on; `wasOff` is false when it was on already. */
type SwitchedOn = Pick<SwitchedOff, "subject" | "acknowledged"> & {
  readonly wasOff: boolean;
  /** `all` is off, and it with all. */
  readonly isAllOff: boolean;
};

/** Failures: `usage` when there is no such thing. */
export async function switchOn(app: Deps, given: string): Promise<SwitchedOn> {
  // What is not configured any more can still be cleared.
  const raw = given.includes(":") || given === "all" ? given : `upstream:${given}`;
  const since = await databaseNow(app.db);
  let subject = raw;
  let wasOff = await timely(removeSwitch(app.db, raw, `on:${raw}`));
  if (!wasOff) {
    subject = await readSubject(app, given);
    wasOff = await timely(removeSwitch(app.db, subject, `on:${subject}`));
  }
  if (wasOff) app.log.info("switched_on", { subject });
  const isAllOff = (await timely(stoppedAmong(app.db, ["all"]))).length > 0;
  const told = await acknowledged(app, [`on:${subject}`], since);
  return { subject, wasOff, isAllOff, acknowledged: told };
}

/** Stops an agent until a person or the operator lets it go on. */
export async function stopAgent(
  app: Pick<App, "db" | "log">,
  caller: string,
  reason: string,
): Promise<void> {
  const row = { subject: caller, reason, by: "guard" as const };
  await timely(saveSwitch(app.db, row, switchedOff(caller)));
  app.log.warn("agent_stopped", { subject: caller, reason });
}

/** A person lets an agent go on that a guard has stopped; false where none has, or the operator switched it off. */
export async function letAgentGoOn(
  app: Pick<App, "db" | "log">,
  subject: string,
): Promise<boolean> {
  const isOver = await timely(removeSwitch(app.db, subject, `on:${subject}`, "guard"));
  if (isOver) app.log.info("agent_goes_on", { subject });
  return isOver;
}

const kinds = "an upstream, all, provider:, account:, agent:, tool:UPSTREAM/, grant: or session:";

/** An upstream's name stands for itself; everything else is named with its kind. Failures: `usage`. */
async function readSubject(app: Deps, given: string): Promise<string> {
  if (given === "all") return given;
  const [kind = "", name = ""] = given.includes(":") ? given.split(/:(.*)/s) : ["upstream", given];
  const check = readers[kind];
  if (check === undefined || name === "") {
    throw new Failure("usage", `${given} cannot be switched`, { hint: `Name ${kinds}` });
  }
  return `${kind}:${await check(app, name)}`;
}

type ReadName = (app: Deps, name: string) => string | Promise<string>;

const readers: Readonly<Record<string, ReadName>> = {
  upstream: ({ catalog }, name) => known(name, catalog.upstreams.keys()),
  provider: ({ catalog }, name) => known(name, catalog.providers.keys()),
  tool: ({ catalog }, name) => {
    known(name.split("/")[0] ?? "", catalog.upstreams.keys());
    if (/^[^/]+\/.+/.test(name)) return name;
    throw new Failure("usage", `${name} names no tool`, { hint: "tool:airtable/delete_record" });
  },
  account: async (app, name) => (await findAccount(app, name)).id,
  agent: (_, name) => name,
  grant: (app, name) => policyId(app, name),
  session: (_, name) => idIn(name),
};

function known(name: string, names: Iterable<string>): string {
  const all = [...names];
  if (all.includes(name)) return name;
  throw new Failure("usage", `Unknown: ${name}`, { hint: `Known: ${all.join(", ")}` });
}

/** What is said of one grant holds for every later one for the same person, client, upstream and account. */
async function policyId({ db }: Pick<App, "db">, name: string): Promise<string> {
  const id = idIn(name);
  return (await timely(policyIdNamed(db, id))) ?? id;
}

function idIn(name: string): string {
  const id = readId(name);
  if (id !== undefined) return id;
  throw new Failure("usage", `${name} is no id`, {
    hint: "smartdash accounts show ACCOUNT lists the ids of permissions and sessions",
  });
}
