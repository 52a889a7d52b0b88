import type { Config } from "./load.ts";

/** Where the database is, for people: `bundled`, or host and name. Never the user, the password or a parameter. */
export function databaseAddress({ databaseUrl }: Pick<Config, "databaseUrl">): string {
  const text = databaseUrl?.reveal();
  if (text === undefined) return "bundled";
  const url = new URL(text);
  // libpq's `?host=/folder` names a unix socket.
  const host = url.searchParams.get("host") ?? url.host;
  return `${host === "" ? "localhost" : host}${url.pathname === "/" ? "" : url.pathname}`;
}
