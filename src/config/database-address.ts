import { readAddress } from "#db/address.ts";
import type { Config } from "./load.ts";

const usualPort = 5432;

/** Where the database is, for people: `bundled`, or host and name. Never the user, the password or a parameter. */
export function databaseAddress({ databaseUrl }: Pick<Config, "databaseUrl">): string {
  const text = databaseUrl?.reveal();
  if (text === undefined) return "bundled";
  const { hosts, socketFolder, database } = readAddress(text);
  const places = hosts.map(({ host, port }) => (port === usualPort ? host : `${host}:${port}`));
  return [socketFolder ?? places.join(","), database].filter((each) => each !== "").join("/");
}
