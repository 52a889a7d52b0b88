import { readFileSync } from "node:fs";
import type { Environment } from "./read.ts";
import { isObject } from "#src/json.ts";
import type { Setting } from "./setting.ts";
import { settings } from "./settings.ts";

/** A secret that is configured, by the setting that holds it. */
type SecretValue = { readonly name: string; readonly value: string };

/** Shorter ones would be found everywhere. */
const shortest = 8;
const secretFields = new Set(["client_secret", "key"]);

/** Every secret that is configured: each key of a list by itself, and those within JSON. For looking where they must not be. */
export function secretValues(environment: Environment): readonly SecretValue[] {
  const all = Object.entries<Setting>(settings).flatMap(([name, setting]) => {
    const text = setting.secret === true ? (environment[name]?.trim() ?? "") : "";
    return valuesOf(setting, text).map((value) => ({ name, value }));
  });
  return all.filter(({ value }) => value.length >= shortest);
}

function valuesOf({ kind }: Setting, text: string): readonly string[] {
  if (kind === "keys") return text.split(",").map((part) => part.trim());
  return kind === "json" ? secretsIn(parsed(text)) : [text];
}

/** As the reader of settings takes it: the object itself, or the file that holds it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text.startsWith("{") ? text : readFileSync(text, "utf8"));
  } catch {
    return undefined;
  }
}

function secretsIn(value: unknown): readonly string[] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    typeof inner === "string" ? (secretFields.has(name) ? [inner] : []) : secretsIn(inner),
  );
}
