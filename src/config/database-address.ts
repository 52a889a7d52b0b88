import { readAddress } from "#db/address.ts";
import type { Config } from "./load.ts";

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
