import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { App } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { secretValues } from "#src/config/secret-values.ts";
import { nodeKeySealedBy, openNodeKey } from "#src/crypto/node-key.ts";
import { asFailure } from "#src/failure.ts";
import { type CheckResult, pass, problem, skipped } from "./result.ts";
import { signingKeyAge } from "./store.ts";

type Deps = Pick<App, "config" | "db" | "now"> & { readonly environment: Environment };

const [keyDays, signingKeyDays, fewestBytes] = [365, 180, 16];
const dayMs = 86_400_000;

export function modeIsProduction({ config }: Deps): readonly CheckResult[] {
  if (config.isProduction) return [pass(1, "mode", "SMARTDASH_MODE is production")];
  return [problem("mode_not_production", "SMARTDASH_MODE is development")];
}

/** In the working directory, where frameworks look for them. */
export function noEnvFile(): readonly CheckResult[] {
  const found = [".env.local", ".env.production.local"].filter((name) => existsSync(name));
  if (found.length === 0) return [pass(1, "env_file", "There is no .env.local")];
  return found.map((name) => problem("env_file_present", `${name} lies in the working directory`));
}

/** A key that somebody typed, or made of one letter. */
export function keysStrong({ config }: Deps): readonly CheckResult[] {
  const all = [
    ...config.encryptionKeys.map((key, at) => ({ key, name: `key ${at + 1} of ENCRYPTION_KEY` })),
    ...(config.secretKey === undefined ? [] : [{ key: config.secretKey, name: "SECRET_KEY" }]),
  ];
  if (all.length === 0) return [pass(1, "key_strength", "The key in SMARTDASH_HOME was made here")];
  const weak = all.filter(({ key }) => isWeak(key));
  if (weak.length === 0) return [pass(1, "key_strength", "Keys look random")];
  return weak.map(({ name }) => problem("key_weak", `${name} does not look random`));
}

/** 32 random bytes have 22 different ones or more in all but one of a billion billion cases. */
function isWeak(key: Uint8Array): boolean {
  const isText = key.every((byte) => byte >= 0x20 && byte < 0x7f);
  return new Set(key).size < fewestBytes || isText;
}

export async function keysYoung(app: Deps): Promise<readonly CheckResult[]> {
  const own = join(app.config.home, "encryption.key");
  const findings: CheckResult[] = [];
  if (app.config.encryptionKeys.length === 0 && existsSync(own)) {
    const days = (app.now().getTime() - statSync(own).mtimeMs) / dayMs;
    const words = `${own} is ${Math.floor(days)} days old`;
    findings.push(days > keyDays ? problem("key_old", words) : pass(1, "key_age", words));
  }
  const signing = await signingKeyAge(app.db);
  if (signing === undefined) return findings;
  const words = `The key that signs access tokens is ${Math.floor(signing)} days old`;
  return [
    ...findings,
    signing > signingKeyDays ? problem("signing_key_old", words) : pass(1, "signing_key", words),
  ];
}

/** What nobody else may read: keys, the journal. */
export function filesClosed({ config }: Deps): readonly CheckResult[] {
  const closed = [join(config.home, "encryption.key"), join(config.home, "node.key")];
  const open = closed.filter((path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0);
  const isWritable = [config.home, config.journal].filter(
    (path) => existsSync(path) && (statSync(path).mode & 0o022) !== 0,
  );
  if (open.length + isWritable.length === 0)
    return [pass(1, "file_modes", "Others can neither read the keys nor write the folders")];
  return [
    ...open.map((path) => problem("file_open", `Others can read ${path}`)),
    ...isWritable.map((path) => problem("file_open", `Others can write ${path}`)),
  ];
}

/** Signs reports; made by the first check. */
export function nodeKeyOpens({
  config,
  seal,
}: Pick<App, "config" | "seal">): readonly CheckResult[] {
  try {
    const { fingerprint } = openNodeKey(config.home, seal);
    const id = nodeKeySealedBy(config.home);
    if (id !== seal.keyIds[0]) {
      return [problem("key_retired", `node.key on this machine needs the key ${id}`)];
    }
    return [pass(1, "node_key", `This node is ${fingerprint.slice(0, 16)}`)];
  } catch (error) {
    return [problem("node_key_unreadable", asFailure(error).message)];
  }
}

/** Command lines are for everybody to read; looked at on this machine, as far as this user may. */
export function argumentsClean({ environment }: Deps): readonly CheckResult[] {
  const lines = commandLines();
  if (lines === undefined) {
    return [skipped(1, "arguments", "Command lines of other processes cannot be read here")];
  }
  const shown = secretValues(environment).filter(({ value }) =>
    lines.some((line) => line.includes(value)),
  );
  if (shown.length === 0) return [pass(1, "arguments", "No secret stands in a command line")];
  return shown.map(({ name }) =>
    problem("secret_in_arguments", `The value of ${name} stands in a process's command line`),
  );
}

function commandLines(): readonly string[] | undefined {
  try {
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return processes.flatMap((id) => {
      try {
        return [readFileSync(`/proc/${id}/cmdline`, "utf8").replaceAll("\0", " ")];
      } catch {
        return [];
      }
    });
  } catch {
    return undefined;
  }
}
