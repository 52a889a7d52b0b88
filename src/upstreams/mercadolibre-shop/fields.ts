import { isObject } from "#src/json.ts";
import { ToolProblem } from "../tools/problem.ts";
import { idPatterns } from "./endpoints.ts";
import type { JsonSchema } from "../tools/tool.ts";

/** What of an answer is needed, without believing that it is there. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value;
  for (const key of path) {
    if (Array.isArray(here) && typeof key === "number") here = here[key];
    else if (isObject(here)) here = here[key];
    else return undefined;
  }
  return here;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A list that an answer has to have: "there are none" must be said, not missing. Failures: `upstream_down`. */
export function needed(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ToolProblem("upstream_down", "The answer of Mercado Libre is not what it used to be");
}

/** Ids come as numbers and as texts: always text. */
export function text(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** ISO 8601 in UTC, whichever of the vendor's forms it came in; a date without a zone stays as it is. */
export function date(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const written = value.replace(/([+-]\d\d)(\d\d)$/, "$1:$2").replace(/(\.\d{3})\d+/, "$1");
  if (!/(Z|[+-]\d\d:\d\d)$/.test(written)) return value;
  const moment = new Date(written);
  return Number.isNaN(moment.getTime()) ? value : moment.toISOString();
}

/** Without what is not there. */
export function compact(
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  );
}

const written = (name: keyof typeof idPatterns, description: string): JsonSchema => ({
  type: "string",
  pattern: idPatterns[name].source,
  description,
});

export const itemId = written("item_id", "Id of a listing, such as MLA123456789");
export const categoryId = written("category_id", "Id of a category, such as MLA1055");
export const digits = (of: string): JsonSchema => written("id", `Id of the ${of}`);
