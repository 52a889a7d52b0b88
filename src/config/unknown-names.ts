import type { Environment } from "./read.ts";
import { settings } from "./settings.ts";

/** A name in the environment that looks like a setting's and is none. What it holds is never looked at by others. */
type UnknownName = {
  readonly name: string;
  /** The setting that is likely meant. */
  readonly meant: string | undefined;
  /** What takes its place, where the mission's documents name it. */
  readonly instead?: string;
};

/** Names of the mission's documents, and of systems before this one, that have no effect here (docs/mission.md). */
const replaced: Readonly<Record<string, string>> = {
  STORAGE_BACKEND: "the store is PostgreSQL: DATABASE_URL, or the bundled one",
  PARSE_REST_API_KEY: "smartdash import back4app uses PARSE_MASTER_KEY",
  SUPABASE_SERVICE_ROLE_KEY: "Supabase's PostgreSQL is reached through DATABASE_URL",
  NEXT_PUBLIC_SUPABASE_URL: "Supabase's PostgreSQL is reached through DATABASE_URL",
  EDGE_HIVE_MCP_ENABLED: "SMARTDASH_EDGE=on makes the gateway a node",
  EDGE_HIVE_OAUTH2_ISSUER: "PUBLIC_URL is the issuer",
  EDGE_HIVE_NODE_NAME: "EDGE_NODE_NAME names the node",
};

/** No other program's names begin so: one that is not a setting is a mistake, whatever follows. */
const ownPrefixes = ["SMARTDASH_", "MELI_", "MERCADOPAGO_", "AIRTABLE_"];
/** Shorter names are a letter or two from too many others (PORT, HOST). */
const [shortest, mostEdits] = [8, 2];

const known = Object.keys(settings);
const candidates = known.filter((name) => name.length >= shortest);

/** Names that begin like ours or are a letter or two from one of ours, in their order. */
export function unknownNames(environment: Environment): readonly UnknownName[] {
  const given = Object.entries(environment).filter(([, value]) => (value ?? "").trim() !== "");
  return given.flatMap(([name, value = ""]) => {
    const instead = Object.hasOwn(replaced, name) ? replaced[name] : undefined;
    if (instead !== undefined) return [{ name, meant: undefined, instead }];
    if (Object.hasOwn(settings, name) || isSomebodyElses(name, value, environment)) return [];
    const meant = settingMeant(name.toUpperCase());
    const isOurs = ownPrefixes.some((prefix) => name.toUpperCase().startsWith(prefix));
    return isOurs || meant !== undefined ? [{ name, meant }] : [];
  });
}

/** In words, those that are likely to be another setting written wrongly. */
export function misspelt(environment: Environment): readonly string[] {
  return unknownNames(environment).flatMap((each) =>
    each.meant === undefined ? [] : [aboutUnknown(each)],
  );
}

/** In words: what, and what to do. */
export function aboutUnknown({ name, meant, instead }: UnknownName): string {
  if (instead !== undefined) return `${name} has no effect: ${instead}`;
  return meant === undefined
    ? `${name} is not a setting, and has no effect`
    : `${name} is not a setting, and has no effect: is ${meant} meant?`;
}

/** Names that we or others give a meaning elsewhere: in documents, in tests and builds, in OpenSSL. */
const elsewhere =
  /^(SMARTDASH_(BEARER|REVISION|VERSION|REAL_PARSE|TEST_\w+)|SSL_(CERT|KEY)_FILE|npm_\w+|(XDG|LC)_\w+)$/;
/** What Kubernetes and Docker links say about a service of any name, `smartdash` among them. */
const service =
  /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$|_ENV_\w+$/;

function isSomebodyElses(name: string, value: string, environment: Environment): boolean {
  if (elsewhere.test(name) || service.test(name)) return true;
  // `NAME_PORT=tcp://10.0.0.1:8000`, and `NAME_NAME=/container/alias` beside it.
  if (name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value)) return true;
  return /^[A-Z0-9_]+_NAME$/.test(name) && isLinked(name.replace(/_NAME$/, "_PORT"), environment);
}

function isLinked(name: string, environment: Environment): boolean {
  return /^(tcp|udp|sctp):\/\//.test(environment[name] ?? "");
}

function settingMeant(name: string): string | undefined {
  if (Object.hasOwn(settings, name)) return name;
  const near = candidates
    .map((setting) => ({ setting, edits: editsBetween(name, setting) }))
    .filter(({ edits }) => edits <= mostEdits)
    .toSorted((left, right) => left.edits - right.edits);
  return near[0]?.setting ?? withOrWithoutPrefix(name);
}

/** `SMARTDASH_LOG_LEVEL`: some of our names have no prefix, others have one. */
function withOrWithoutPrefix(name: string): string | undefined {
  const bare = name.startsWith("SMARTDASH_") ? name.slice("SMARTDASH_".length) : undefined;
  return known.find((setting) => setting === bare);
}

/** Letters that are left out, put in, exchanged for another, or with their neighbour; one more than `mostEdits` for "too many". */
export function editsBetween(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > mostEdits) return mostEdits + 1;
  let [before, last]: number[][] = [[], Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      const ways = [
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (isSame ? 0 : 1),
        ...(isSwapped && row > 1 && column > 1 ? [at(before, column - 2) + 1] : []),
      ];
      current.push(Math.min(...ways));
    }
    [before, last] = [last, current];
  }
  return Math.min(at(last, other.length), mostEdits + 1);
}

function at(row: readonly number[] | undefined, column: number): number {
  return row?.[column] ?? Infinity;
}
