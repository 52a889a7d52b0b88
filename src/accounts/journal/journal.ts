import { randomUUID } from "node:crypto";
import {
  access,
  constants,
  link,
  mkdir,
  readFile,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { App } from "#src/app.ts";
import { isObject } from "#src/json.ts";
import { readId } from "#src/crypto/ids.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import { Secret } from "#src/crypto/secret.ts";
import { Failure, codeOf } from "#src/failure.ts";
import { within } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type Answers, type Version, flushFolder, openAnswers } from "./answers.ts";
import { type HighWaterMarks, noHighWaterMarks, openHighWaterMarks } from "./high-water-marks.ts";
import type { NewCredential } from "../store.ts";
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** A provider's answer and the generation that it replaces. */
export type Answer = Version & { readonly credential: NewCredential };

/**
 * Where a provider's answer is kept from the moment it arrives until the database has it. The answer of a
 * single-use refresh token exists once: it is on this disk before anything else is done with it.
 * Gateways on one machine may share a folder; a gateway that died is then recovered by the others.
 */
export type Journal = {
  /** Names the folder, not the process. */
  readonly id: string;
  readonly marks: HighWaterMarks;
  readonly holders: Holders;
  /** Failures: `journal_unavailable`; the provider must not be asked then. */
  reserve(version: Version): Promise<void>;
  write(answer: Answer): Promise<void>;
  /** `reserved` when the provider may have been asked, but no answer was written. */
  read(version: Version): Promise<Answer | "reserved" | undefined>;
  drop(version: Version): Promise<void>;
  versions(): Promise<readonly Version[]>;
  /** Whether it can be written now: tried, ten seconds ago at most. Never rejects. */
  look(): Promise<"pass" | "journal_unavailable">;
  /** Answers that the database has not taken yet: who reads an account reads them on top. */
  readonly unstored: Map<string, Answer>;
};

type Deps = Pick<App, "config" | "seal" | "log" | "replica">;

/**
 * Opens SMARTDASH_JOURNAL. Failures: `journal_unusable` in production; in development a gateway without
 * a journal only says so.
 */
export async function openJournal(app: Deps): Promise<Journal> {
  const folder = app.config.journal;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    await refuseOpenToOthers(folder);
    const parts = await openParts(app, folder);
    // Proves that it can be written now, not at the first answer.
    await parts.answers.tryOut();
    return journalOf(app, parts);
  } catch (error) {
    const reason = codeOf(error) ?? (error instanceof Error ? error.name : "unknown");
    if (app.config.isProduction) throw unusable(folder, reason);
    app.log.warn("journal_off", { reason });
    return journalOf(app, inMemory());
  }
}

/** Whoever else can write here can make accounts look restored, and hold the locks that recovery looks at. */
async function refuseOpenToOthers(folder: string): Promise<void> {
  const { mode, uid } = await stat(folder);
  const isOurs = uid === (process.getuid?.() ?? uid);
  if (isOurs && (mode & 0o022) === 0) return;
  throw Object.assign(new Error("others may write it"), { code: "others may write it" });
}

type Parts = {
  readonly id: string;
  readonly answers: Answers;
  readonly marks: HighWaterMarks;
  readonly holders: Holders;
};

async function openParts(app: Deps, folder: string) {
  const complain = (error: unknown) => app.log.warn("marks_not_written", errorFields(error));
  return {
    id: await idOf(folder),
    answers: await openAnswers(join(folder, "answers")),
    marks: await openHighWaterMarks(join(folder, "marks"), complain),
    holders: joinHolders(join(folder, "holders"), app.replica),
  };
}

/** Whoever comes first writes it; a link that is there already is not replaced. */
async function idOf(folder: string): Promise<string> {
  const file = join(folder, "id");
  const fresh = join(folder, `id.${randomUUID()}`);
  await writeFile(fresh, `${randomUUID()}\n`, { mode: 0o600, flush: true });
  await link(fresh, file).catch((error: unknown) => {
    if (codeOf(error) !== "EEXIST") throw error;
  });
  await unlink(fresh);
  await flushFolder(folder);
  const id = readId((await readFile(file, "utf8")).trim());
  if (id === undefined) throw new Error("the file id does not hold one");
  return id;
}

const [lookMs, longestMs] = [10_000, 1000];

function journalOf(app: Deps, parts: Parts): Journal {
  const { answers } = parts;
  const watch = createWatch(app, answers);
  return {
    ...parts,
    look: () => watch.look(),
    async reserve(version) {
      try {
        await answers.reserve(version);
        watch.met(undefined);
      } catch (error) {
        watch.met(error);
        throw new Failure("journal_unavailable", undefined, { retryAfterSeconds: 30 });
      }
    },
    write: (answer) =>
      answers.write(answer, app.seal.close(new Secret(textOf(answer)), placeOf(answer))),
    async read(version) {
      const bytes = await answers.read(version);
      if (bytes === undefined) return undefined;
      return bytes.length === 0 ? "reserved" : opened(app, version, bytes);
    },
    drop: (version) => answers.drop(version),
    versions: () => answers.list(),
    unstored: new Map(),
  };
}

/** Says in the log when the journal cannot be written any more, and when it can again. */
function createWatch(app: Deps, answers: Answers) {
  let state: "pass" | "journal_unavailable" = "pass";
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let trying: Promise<void> | undefined;
  const note = (error: unknown) => {
    const next = error === undefined ? "pass" : "journal_unavailable";
    lookedAt = performance.now();
    if (next === state) return;
    state = next;
    const { journal: folder } = app.config;
    if (next === "pass") app.log.info("journal_available", { folder });
    else app.log.error("journal_not_reserved", { folder, ...errorFields(error) });
  };
  const tryOut = async () => {
    const late = () => new Failure("journal_unavailable", "The disk does not answer");
    // One that hangs is asked again when it has answered.
    const trial = answers.tryOut().finally(() => (trying = undefined));
    trying = trial;
    await within(longestMs, trial, late).then(() => note(undefined), note);
    looking = undefined;
  };
  return {
    /** What an attempt met; undefined when it went well. */
    met: note,
    async look() {
      if (trying !== undefined && looking === undefined) return state;
      if (performance.now() - lookedAt > lookMs) await (looking ??= tryOut());
      return state;
    },
  };
}

/** The tokens in it are sealed already; the whole is sealed so that no answer passes for another's. */
function placeOf({ id, generation }: Version) {
  return { table: "journal", row: id, column: `answer ${generation}` };
}

function textOf({ credential }: Answer): string {
  const { accessToken, refreshToken, accessExpiresAt, refreshExpiresAt, refreshFrom, scope } =
    credential;
  return JSON.stringify({
    accessToken: Buffer.from(accessToken).toString("base64"),
    refreshToken: refreshToken === null ? null : Buffer.from(refreshToken).toString("base64"),
    accessExpiresAt,
    refreshExpiresAt,
    refreshFrom,
    scope,
  });
}

/** An answer that was torn by a crash is as good as none; one whose key is missing waits for the key. */
function opened(app: Deps, version: Version, bytes: Uint8Array): Answer | "reserved" {
  try {
    const fields: unknown = JSON.parse(app.seal.open(bytes, placeOf(version)).reveal());
    const credential = isObject(fields) ? credentialFrom(fields) : undefined;
    return credential === undefined ? "reserved" : { ...version, credential };
  } catch (error) {
    // Torn by a crash, or being written by another process at this moment.
    if (!(error instanceof SealBroken && error.isKeyMissing)) return "reserved";
    app.log.error("journal_answer_unreadable", { accountId: version.id });
    throw new Failure("credential_unreadable", error.message);
  }
}

function credentialFrom(fields: Readonly<Record<string, unknown>>): NewCredential | undefined {
  const text = (name: string) => (typeof fields[name] === "string" ? fields[name] : undefined);
  const date = (name: string) => (text(name) === undefined ? null : new Date(text(name) ?? ""));
  const access = text("accessToken");
  const refresh = text("refreshToken");
  const scope = text("scope");
  if (access === undefined || refresh === undefined) return undefined;
  return {
    accessToken: Buffer.from(access, "base64"),
    refreshToken: Buffer.from(refresh, "base64"),
    accessExpiresAt: date("accessExpiresAt"),
    refreshExpiresAt: date("refreshExpiresAt"),
    refreshFrom: date("refreshFrom"),
    ...(scope === undefined ? {} : { scope }),
  };
}

function inMemory(): Parts {
  const nothing = () => Promise.resolve();
  const unknown = () => Promise.resolve(undefined);
  return {
    id: randomUUID(),
    answers: {
      reserve: nothing,
      write: nothing,
      read: unknown,
      drop: nothing,
      tryOut: nothing,
      list: () => Promise.resolve([]),
    },
    marks: noHighWaterMarks,
    holders: { gone: () => [], leave: () => undefined },
  };
}

function unusable(folder: string, reason: string): Failure {
  return new Failure("journal_unusable", `${folder} cannot hold the journal (${reason})`, {
    hint: "Set SMARTDASH_JOURNAL to a folder on a local disk that this user may write and that survives a restart.",
  });
}

/** Who uses a journal now. The operating system tells, even after kill -9. */
type Holders = {
  /** Replicas that used this journal and are gone; each is told once. */
  gone(): readonly string[];
  leave(): void;
};

/** @param replica Our own name, a UUID. */
function joinHolders(folder: string, replica: string): Holders {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // SQLite gives the files that it makes beside it the same mode.
  closeSync(openSync(join(folder, replica), "a", 0o600));
  const own = lock(join(folder, replica), ownWaitMs);
  if (own === undefined) throw new Error("the lock of this process cannot be taken");
  return {
    gone: () => readdirSync(folder).filter((name) => isGone(folder, name, replica)),
    leave: () => {
      if (!own.isOpen) return;
      own.close();
      remove(join(folder, replica));
    },
  };
}

function isGone(folder: string, name: string, replica: string): boolean {
  const isOther = name !== replica && readId(name) !== undefined;
  // Whatever else lies there is not one of ours.
  if (!isOther || !lstatSync(join(folder, name)).isFile()) return false;
  const free = lock(join(folder, name));
  if (free === undefined) return false;
  free.close();
  remove(join(folder, name));
  return true;
}

/** A neighbour may be looking at our lock at this very moment. */
const ownWaitMs = 200;

/** Undefined while its process lives. */
function lock(file: string, waitMs = 0): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec(`pragma busy_timeout = ${waitMs}; begin exclusive`);
    return database;
  } catch {
    database?.close();
    return undefined;
  }
}

function remove(file: string): void {
  for (const name of [file, `${file}-journal`]) rmSync(name, { force: true });
}
