import { AddressProblem, readAddress, tlsOptions } from "#db/address.ts";
import { readFileSync } from "node:fs";
import { objectIn } from "#src/json.ts";
import { readKey } from "#src/crypto/seal.ts";
import { Secret } from "#src/crypto/secret.ts";
import type { Setting } from "./setting.ts";
import { type SettingName, settings } from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** One thing that is wrong with the settings, with its remedy. */
export type Problem = { readonly setting: string; readonly message: string };

/** Reads settings by kind and gathers every problem instead of stopping at the first. */
export type Reader = {
  readonly problems: Problem[];
  text(name: SettingName): string | undefined;
  /** The name of a header, in lower case. */
  header(name: SettingName): string | undefined;
  secret(name: SettingName): Secret | undefined;
  url(name: SettingName): string | undefined;
  number(name: SettingName): number;
  /** The same of a setting without a default; undefined when it is not set. */
  optionalNumber(name: SettingName): number | undefined;
  flag(name: SettingName): boolean;
  keys(name: SettingName): readonly Uint8Array[];
  list(name: SettingName): readonly string[];
  json(name: SettingName): Readonly<Record<string, unknown>>;
};

export function createReader(environment: Environment): Reader {
  const problems: Problem[] = [];
  const given: Given = {
    environment,
    complain: (setting, message) => problems.push({ setting, message }),
  };
  return {
    problems,
    text: (name) => readText(given, name),
    header: (name) => readHeaderName(given, name),
    secret: (name) => mapped(readText(given, name), (value) => new Secret(value)),
    url: (name) => readUrl(given, name),
    number: (name) => readNumber(given, name),
    optionalNumber: (name) =>
      readText(given, name) === undefined ? undefined : readNumber(given, name),
    flag: (name) => readFlag(given, name),
    keys: (name) => readKeys(given, name),
    list: (name) => readList(given, name),
    json: (name) => readJson(given, name),
  };
}

type Given = {
  readonly environment: Environment;
  readonly complain: (setting: SettingName, message: string) => void;
};

function readText({ environment, complain }: Given, name: SettingName): string | undefined {
  const setting: Setting = settings[name];
  const value = environment[name]?.trim();
  if (value === undefined || value === "") return setting.default;
  if (setting.choices === undefined || setting.choices.includes(value)) return value;
  complain(name, `must be one of ${setting.choices.join(", ")}`);
  return setting.default;
}

function readHeaderName(given: Given, name: SettingName): string | undefined {
  const value = readText(given, name);
  if (value === undefined || isHeaderName(value)) return value?.toLowerCase();
  given.complain(name, "must be the name of a header, such as X-Forwarded-For");
  return undefined;
}

function readUrl(given: Given, name: SettingName): string | undefined {
  const value = readText(given, name);
  if (value === undefined) return undefined;
  if (name === "DATABASE_URL") return readDatabaseUrl(given, value);
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  given.complain(name, "must be an http(s) URL");
  return undefined;
}

function readDatabaseUrl(given: Given, value: string): string | undefined {
  try {
    tlsOptions(readAddress(value).tls);
    return value;
  } catch (error) {
    given.complain("DATABASE_URL", error instanceof AddressProblem ? error.message : "is wrong");
    return undefined;
  }
}

function readNumber(given: Given, name: SettingName): number {
  const value = Number(readText(given, name));
  const [least, most] = settings[name].kind === "port" ? [0, 65_535] : [1, 86_400_000];
  if (/^\d+$/.test(readText(given, name) ?? "") && value >= least && value <= most) return value;
  given.complain(name, `must be a whole number from ${least} to ${most}`);
  return least;
}

function readFlag(given: Given, name: SettingName): boolean {
  const value = readText(given, name)?.toLowerCase() ?? "off";
  if (["on", "true", "1"].includes(value)) return true;
  if (!["off", "false", "0"].includes(value)) given.complain(name, "must be on or off");
  return false;
}

function readList(given: Given, name: SettingName): readonly string[] {
  const parts = (readText(given, name) ?? "").split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

function readKeys(given: Given, name: SettingName): readonly Uint8Array[] {
  const parts = readList(given, name);
  return parts.flatMap((part, index) => {
    const key = readKey(part);
    if (key !== undefined) return [key];
    const which = parts.length > 1 ? `key ${index + 1} ` : "";
    const forms = "32 bytes as base64, base64url or hex (a Fernet key is one)";
    given.complain(name, `${which}must be ${forms}; make one with: openssl rand -base64 32`);
    return [];
  });
}

function readJson(given: Given, name: SettingName): Readonly<Record<string, unknown>> {
  const value = readText(given, name);
  if (value === undefined) return {};
  const isInline = value.startsWith("{");
  const text = isInline ? value : fileText(value);
  if (text === undefined) {
    const wanted = "must be a JSON object, or the path of a file that holds one";
    given.complain(name, `${wanted}; no such file can be read`);
    return {};
  }
  const parsed = objectIn(text);
  if (parsed !== undefined) return parsed;
  given.complain(name, `${isInline ? "the value" : `the file ${value}`} is not a JSON object`);
  return {};
}

function fileText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function mapped<T>(value: string | undefined, make: (value: string) => T): T | undefined {
  return value === undefined ? undefined : make(value);
}

/** RFC 9110 section 5.1. */
export function isHeaderName(text: unknown): text is string {
  return typeof text === "string" && /^[!#$%&'*+.^_`|~\w-]+$/.test(text);
}
