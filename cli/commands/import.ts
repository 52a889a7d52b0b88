import { openJournal } from "#src/accounts/journal/journal.ts";
import { recoverAtStart } from "#src/accounts/recovery/recover.ts";
import { createRefreshParts } from "#src/accounts/refresh/deps.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { type Counts, importAccounts } from "#src/operations/import/import.ts";
import { type ParseSource, parseSource } from "#src/operations/import/parse-source.ts";
import { type Outcome, command, group, withApp } from "../command.ts";
import { patiently, table, tell } from "../terminal.ts";

const why = `A refresh token has one owner. Each account is refreshed here at once, which makes the copy in Back4App
worthless: from then on the former system cannot use it.
  1. Stop every worker of the former system that refreshes tokens.
  2. smartdash import back4app --dry-run        shows what can be read
  3. smartdash import back4app --cut-over       takes the accounts over; can be stopped and run again
  4. Lock or delete the class; then point agents at this gateway.`;

const back4app = command({
  name: "import back4app",
  description: "Import accounts from the UserToken class of Back4App (Parse), Fernet-sealed",
  examples: [
    "smartdash import back4app --dry-run",
    "smartdash import back4app --cut-over",
    "smartdash import back4app --cut-over --provider mercadolibre --delete-source",
  ],
  args: {
    "cut-over": { type: "boolean", description: "The former system has stopped refreshing: begin" },
    "dry-run": { type: "boolean", description: "Read and decrypt only; nothing is changed" },
    provider: { type: "string", default: "airtable", description: "Whose accounts they are" },
    class: { type: "string", default: "UserToken", description: "The Parse class" },
    "delete-source": {
      type: "boolean",
      description: "Delete each row in Back4App once its account is ours",
    },
  },
  run: async (args) => {
    const isDryRun = args["dry-run"] === true;
    if (!isDryRun && args["cut-over"] !== true) {
      throw new Failure("usage", `Nothing was read.\n${why}`, { hint: "--cut-over, or --dry-run" });
    }
    return await withApp({ role: "command" }, async (app) => {
      const source = sourceIn(app, args.class);
      const isOpen = await source.isWorldReadable();
      if (isOpen) {
        tell(
          `Everybody who knows the application id may read ${args.class}. Lock it:\n${source.lockCommand}`,
        );
      }
      const keys = [...app.config.parse.fernetKeys, ...app.config.encryptionKeys];
      const { provider } = args;
      const deletesSource = args["delete-source"] === true;
      const counts = await run(app, { source, keys, provider, isDryRun, deletesSource });
      return outcomeOf(counts, { isOpen, isDryRun });
    });
  },
});

function sourceIn(app: App, className: string): ParseSource {
  const { url, appId, masterKey } = app.config.parse;
  if (appId === undefined || masterKey === undefined) {
    throw new Failure("settings_invalid", "PARSE_APP_ID and PARSE_MASTER_KEY are required here", {
      hint: "They stand in Back4App under App Settings, Security & Keys",
    });
  }
  if (!/^\w{1,100}$/.test(className)) throw new Failure("usage", "--class is a name");
  return parseSource(app, { url, appId, masterKey, className });
}

async function run(app: App, wish: Parameters<typeof importAccounts>[1]): Promise<Counts> {
  const journal = await openJournal(app);
  try {
    const importing = { ...app, ...createRefreshParts(app, journal) };
    // What an earlier run was stopped in the middle of.
    if (!wish.isDryRun) await recoverAtStart(importing);
    let seen = 0;
    const work = importAccounts(importing, wish, (counts) => {
      seen = Object.values(counts).reduce((sum, count) => sum + count, 0);
    });
    return await patiently(() => `Rows done: ${seen}`, work);
  } finally {
    journal.holders.leave();
  }
}

const meanings: Readonly<Record<keyof Counts, string>> = {
  imported: "refreshed here, ours alone",
  stale: "no longer honoured by the provider: their people connect again",
  known: "the seller has a live account here; it stays as it is",
  waiting: "the provider is busy: run it again",
  unreadable: "no key opens it, or there is no token in it",
  failed: "something else; import_failed in the output names the row",
  readable: "can be taken over",
};

function outcomeOf(
  counts: Counts,
  { isOpen, isDryRun }: { isOpen: boolean; isDryRun: boolean },
): Outcome {
  const rows = Object.entries(meanings).flatMap(([name, meaning]) => {
    const count = Object.entries(counts).find(([each]) => each === name)?.[1] ?? 0;
    return count === 0 ? [] : [[name, String(count), meaning]];
  });
  const isLeft = counts.waiting > 0;
  const isBad = counts.unreadable + counts.failed > 0;
  return {
    json: { isDryRun, worldReadable: isOpen, ...counts },
    text: rows.length === 0 ? "No rows." : table(["outcome", "rows", "meaning"], rows),
    ...(isLeft ? { exit: 75 } : isBad ? { exit: 1 } : {}),
  };
}

export const importing = group({
  name: "import",
  description: "Import accounts from another store",
  subCommands: { back4app },
});
