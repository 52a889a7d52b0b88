import { randomUUID } from "node:crypto";
import { access, constants, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { App } from "#src/app.ts";
import { codeOf } from "#src/failure.ts";
import { closedProviders } from "#src/accounts/admission/store.ts";
import { openAnswers, sealedAnswers } from "#src/accounts/journal/answers.ts";
import { leftover } from "../keys/reseal.ts";
import { accountsInDoubt } from "../store.ts";

/** One thing that was looked at. `code` is stable and has a row in docs/runbook.md. */
export type Finding = {
  readonly code: string;
  readonly status: "pass" | "warn" | "fail";
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
};

type Checking = Pick<App, "db" | "seal" | "config">;

const checks = [
  keysInUse,
  journalWritable,
  answersStored,
  answersReadable,
  providersOpen,
  accountsSound,
] as const;

/**
 * Looks at a deployment as it stands; all it writes is room for an answer, which it gives back. The settings, the database and its migrations have been
 * checked before, by opening the app.
 */
export async function check(app: Checking): Promise<readonly Finding[]> {
  const found = [];
  for (const each of checks) found.push(...(await each(app)));
  return found;
}

/** A key may leave ENCRYPTION_KEY only when nothing needs it any more. */
async function keysInUse(app: Checking): Promise<readonly Finding[]> {
  const left = await leftover(app);
  if (left.length === 0)
    return [pass("keys", "Everything is sealed with the first ENCRYPTION_KEY")];
  return left.map(({ table, column, keyId, count }) => {
    const what = `${count} of ${table}.${column}`;
    return app.seal.keyIds.includes(keyId)
      ? {
          code: "key_retired",
          status: "fail",
          message: `${what} still need the key ${keyId}, which is not the first of ENCRYPTION_KEY`,
          hint: "Run: smartdash keys reseal",
        }
      : {
          code: "key_missing",
          status: "fail",
          message: `${what} are sealed with the key ${keyId}, which is not in ENCRYPTION_KEY`,
          hint: "Put that key behind the others, separated by a comma; without it these connections are lost.",
        };
  });
}

async function journalWritable({ config }: Checking): Promise<readonly Finding[]> {
  try {
    await access(config.journal, constants.R_OK | constants.W_OK | constants.X_OK);
    await proveRoom(config.journal);
    return [pass("journal", `${config.journal} can be written`)];
  } catch (error) {
    const reason = codeOf(error) ?? "unknown";
    // The first start makes it.
    if (reason === "ENOENT") return [pass("journal", `${config.journal} will be made by serve`)];
    return [
      {
        code: "journal_unusable",
        status: "fail",
        message: `${config.journal} cannot hold the journal (${reason})`,
        hint: "Make room there, or set SMARTDASH_JOURNAL to a folder on a local disk that the gateway's user may write.",
      },
    ];
  }
}

/** As a refresh would. */
async function proveRoom(folder: string): Promise<void> {
  const answers = await openAnswers(join(folder, "answers"));
  const trial = { id: randomUUID(), generation: 0 };
  await answers.reserve(trial);
  await answers.drop(trial);
}

async function providersOpen({ db }: Checking): Promise<readonly Finding[]> {
  const closed = await closedProviders(db);
  if (closed.length === 0) return [pass("providers", "Every provider may be asked")];
  return closed.map(({ provider, refusedCode }) => ({
    code: refusedCode === null ? "provider_closed" : "application_refused",
    status: "warn",
    message: `${provider} is not asked now${refusedCode === null ? "" : `: it refuses the application (${refusedCode})`}`,
    hint: "See docs/runbook.md",
  }));
}

/** An answer stays in the journal for some milliseconds, or while the database is away. */
async function answersStored({ config }: Checking): Promise<readonly Finding[]> {
  const names = await readdir(join(config.journal, "answers")).catch(() => []);
  if (names.length === 0)
    return [pass("journal_empty", "No provider's answer waits for the database")];
  return [
    {
      code: "journal_waiting",
      status: "warn",
      message: `${names.length} refreshes are under way or wait in the journal`,
      hint: "Keep the folder and its keys; a running gateway stores them within seconds.",
    },
  ];
}

/** An answer that waits needs the key that sealed it as much as a row does. */
async function answersReadable({ config, seal }: Checking): Promise<readonly Finding[]> {
  const ids = await sealedAnswers(join(config.journal, "answers"));
  const [first] = seal.keyIds;
  const others = ids.filter((id) => id !== first);
  if (others.length === 0) return [];
  return [
    {
      code: others.every((id) => seal.keyIds.includes(id)) ? "key_retired" : "key_missing",
      status: "fail",
      message: `${others.length} answers in the journal need another key than the first of ENCRYPTION_KEY`,
      hint: "Keep that key until a running gateway has stored them, which takes seconds.",
    },
  ];
}

async function accountsSound({ db }: Checking): Promise<readonly Finding[]> {
  const inDoubt = await accountsInDoubt(db);
  if (inDoubt.length === 0) return [pass("accounts", "No account is in doubt")];
  return inDoubt.map(({ state, lastError, count }) => ({
    code: `account_${state}`,
    status: "warn",
    message: `Accounts that are ${state}${lastError === null ? "" : ` (${lastError})`}: ${count}`,
    hint: "See the findings of check in docs/runbook.md",
  }));
}

function pass(code: string, message: string): Finding {
  return { code, status: "pass", message };
}
