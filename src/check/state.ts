import { randomUUID } from "node:crypto";
import { access, constants, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closedProviders } from "#src/accounts/circuit-breaker/store.ts";
import { openAnswers, sealedAnswers } from "#src/accounts/journal/answers.ts";
import type { App } from "#src/app.ts";
import { codeOf } from "#src/failure.ts";
import { allSwitches } from "#src/policy/switch-store.ts";
import { leftover } from "#src/operations/keys/reseal.ts";
import { accountsInDoubt } from "#src/operations/store.ts";
import { type CheckResult, pass, problem } from "./result.ts";

/** A key may leave ENCRYPTION_KEY only when nothing needs it any more. */
export async function keysInUse(
  app: Pick<App, "db" | "seal" | "config">,
): Promise<readonly CheckResult[]> {
  const left = await leftover(app);
  if (left.length === 0)
    return [pass(1, "keys", "Everything is sealed with the first ENCRYPTION_KEY")];
  return left.map(({ table, column, keyId, count }) => {
    const what = `${count} of ${table}.${column}`;
    return app.seal.keyIds.includes(keyId)
      ? problem("key_retired", `${what} need the key ${keyId}, not the first of ENCRYPTION_KEY`)
      : problem("key_missing", `${what} are sealed with the key ${keyId}, which is not there`);
  });
}

/** All it writes is room for an answer, which it gives back. */
export async function journalWritable({
  config,
}: Pick<App, "config">): Promise<readonly CheckResult[]> {
  try {
    await access(config.journal, constants.R_OK | constants.W_OK | constants.X_OK);
    await proveRoom(config.journal);
    return [pass(4, "journal", `${config.journal} can be written`)];
  } catch (error) {
    const reason = codeOf(error) ?? "unknown";
    // The first start makes it.
    if (reason === "ENOENT") return [pass(4, "journal", `${config.journal} will be made by serve`)];
    return [problem("journal_unusable", `${config.journal} cannot hold the journal (${reason})`)];
  }
}

/** As a refresh would. */
async function proveRoom(folder: string): Promise<void> {
  const answers = await openAnswers(join(folder, "answers"));
  const trial = { id: randomUUID(), generation: 0 };
  await answers.reserve(trial);
  await answers.drop(trial);
}

export async function providersOpen({ db }: Pick<App, "db">): Promise<readonly CheckResult[]> {
  const closed = await closedProviders(db);
  if (closed.length === 0) return [pass(2, "providers", "Every provider may be asked")];
  return closed.map(({ provider, refusedCode }) =>
    refusedCode === null
      ? problem("provider_closed", `${provider} is not asked now`)
      : problem("application_refused", `${provider} refuses this application (${refusedCode})`),
  );
}

const underWayMs = 1500;

/** An answer stays in the journal for some milliseconds, or while the database is away. */
export async function answersStored({
  config,
}: Pick<App, "config">): Promise<readonly CheckResult[]> {
  const list = () => answerNames(config);
  const before = new Set(await list());
  if (before.size > 0) await sleep(underWayMs);
  const waiting = before.size === 0 ? [] : (await list()).filter((name) => before.has(name));
  return [
    waiting.length === 0
      ? pass(4, "journal_empty", "No provider's answer waits for the database")
      : problem("journal_waiting", `${waiting.length} answers or questions wait in the journal`),
  ];
}

/** The first start makes the folder; one that cannot be read says nothing about what is in it. */
async function answerNames({ journal }: App["config"]): Promise<readonly string[]> {
  try {
    return await readdir(join(journal, "answers"));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** An answer that waits needs the key that sealed it as much as a row does. */
export async function answersReadable(
  app: Pick<App, "config" | "seal">,
): Promise<readonly CheckResult[]> {
  if ((await answerNames(app.config)).length === 0) {
    return [pass(1, "journal_keys", "No answer in the journal needs a key")];
  }
  const ids = await sealedAnswers(join(app.config.journal, "answers"));
  const [first] = app.seal.keyIds;
  const others = ids.filter((id) => id !== first);
  if (others.length === 0)
    return [pass(1, "journal_keys", "Answers in the journal need no other key than the first one")];
  const code = others.every((id) => app.seal.keyIds.includes(id)) ? "key_retired" : "key_missing";
  return [
    problem(code, `${others.length} answers in the journal need another key than the first one`),
  ];
}

export async function accountsSound({ db }: Pick<App, "db">): Promise<readonly CheckResult[]> {
  const inDoubt = await accountsInDoubt(db);
  if (inDoubt.length === 0) return [pass(4, "accounts", "No account is in doubt")];
  return inDoubt.map(({ state, lastError, count }) => {
    const why = lastError === null ? "" : ` (${lastError})`;
    const words = `Accounts that are ${state}${why}: ${count}`;
    if (state === "ambiguous") return problem("account_ambiguous", words);
    return problem(state === "revoking" ? "account_revoking" : "account_reconnect_required", words);
  });
}

export async function switchesOn({ db }: Pick<App, "db">): Promise<readonly CheckResult[]> {
  const off = await allSwitches(db);
  if (off.length === 0) return [pass(10, "switches", "Nothing is switched off")];
  return off.map(({ subject, at }) =>
    problem("switched_off", `${subject} is off since ${at.toISOString().slice(0, 16)} UTC`),
  );
}
