import { readAddress } from "#db/address.ts";
import type { Config } from "./load.ts";
import type { Environment } from "./read.ts";
import { misspelt } from "./unknown-names.ts";
import { hasDatabase } from "#db/home.ts";
import { Failure } from "#src/failure.ts";

const usualPort = 5432;

/** Where the database is, for people: `bundled`, or host and name. Never the user, the password or a parameter. */
export function databaseAddress({ databaseUrl }: Pick<Config, "databaseUrl">): string {
  const text = databaseUrl?.reveal();
  if (text === undefined) return "bundled";
  const { hosts, socket, database } = readAddress(text);
  const at = socket === undefined ? hosts : [{ host: socket.folder, port: socket.port }];
  const places = at.map(({ host, port }) => (port === usualPort ? host : `${host}:${port}`));
  return [places.join(","), database].filter((each) => each !== "").join("/");
}

/** Whoever only looks makes no database. Failures: `home_unusable`. */
export function expectDatabase({ home }: Pick<Config, "home">, environment: Environment): void {
  if (hasDatabase(home)) return;
  const hints = [
    "Set SMARTDASH_HOME or DATABASE_URL as the gateway has it.",
    ...misspelt(environment),
  ];
  throw new Failure("home_unusable", `There is no smartdash database in ${home}`, {
    hint: hints.join(" "),
  });
}

/**
 * A gateway that has lost its DATABASE_URL must not begin anew with an empty database.
 * Failures: `settings_invalid`.
 */
export function refuseUnaskedDatabase(
  config: Pick<Config, "home" | "publicUrl" | "mayMakeDatabase">,
): void {
  const isPublic = config.publicUrl?.startsWith("https:") === true;
  const mayMake = config.mayMakeDatabase ?? !isPublic;
  if (mayMake || hasDatabase(config.home)) return;
  const because =
    config.mayMakeDatabase === false ? "SMARTDASH_BUNDLED_DATABASE=off" : "an https PUBLIC_URL";
  throw new Failure(
    "settings_invalid",
    `DATABASE_URL is not set, and there is no database in ${config.home}: with ${because} a new one is not made unasked`,
    {
      hint: "Is the value in the environment file, and quoted? smartdash migrate --bundled makes a bundled database (SMARTDASH_BUNDLED_DATABASE=on allows it).",
    },
  );
}
