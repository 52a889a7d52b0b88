import { isObject } from "#src/json.ts";
import { ToolProblem } from "./problem.ts";
import type { Input, Tool } from "./tool.ts";

/** Compiled once for each tool. */
const schemas = new WeakMap<Tool, Awaited<ReturnType<typeof schemaOf>>>();

/** The SDK is loaded by the first call of a tool of ours: its schemas are a fifth of what a gateway holds at its start. */
async function schemaOf(tool: Tool) {
  const { fromJsonSchema } = await import("@modelcontextprotocol/server");
  const made = fromJsonSchema<Input>(tool.input);
  schemas.set(tool, made);
  return made;
}

/** What is wrong with a tool's arguments; undefined when it takes them. Sends nothing. */
export async function problemWith(tool: Tool, given: unknown): Promise<ToolProblem | undefined> {
  const schema = schemas.get(tool) ?? (await schemaOf(tool));
  const result = await schema["~standard"].validate(given);
  if (result.issues === undefined) return ownProblem(tool, given);
  const words = unknownIn(tool, given) ?? inWords(tool, result.issues[0]?.message ?? "");
  return new ToolProblem("invalid_argument", words.slice(0, 300));
}

function ownProblem(tool: Tool, given: unknown): ToolProblem | undefined {
  try {
    tool.check?.(isObject(given) ? given : {});
    return undefined;
  } catch (error) {
    if (error instanceof ToolProblem) return error;
    throw error;
  }
}

/** Which argument the tool does not have, and which it has: the validator says neither. */
function unknownIn(tool: Tool, given: unknown): string | undefined {
  const known = Object.keys(propertiesOf(tool));
  if (tool.input["additionalProperties"] !== false || !isObject(given)) return undefined;
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown === undefined) return undefined;
  const takes = known.length === 0 ? "It takes none." : `It takes ${known.join(", ")}.`;
  return `This tool has no argument ${unknown.slice(0, 60)}. ${takes}`;
}

/**
 * What is wrong, as whoever calls the tool can mend it: the validator calls all arguments `data`, does not list the
 * values of an enum, and says nothing of what an argument is for. Of several mistakes the first.
 */
function inWords(tool: Tool, found: string): string {
  const [first = ""] = found.split(/, (?=data[ /])/);
  const [, at = "", said = "are not what this tool takes"] =
    /^data(?:\/(\S+))? (.*)$/s.exec(first) ?? [];
  const missing = /^must have required property '(.*)'$/s.exec(said)?.[1];
  const path = [...at.split("/"), missing ?? ""].filter((name) => name !== "");
  if (path.length === 0) return `The arguments ${said}.`;
  const { enum: values, description } = schemaAt(tool.input, path);
  const about = typeof description === "string" ? ` (${description})` : "";
  const what = missing === undefined ? withValues(said, values) : "is missing";
  return `${path.join(".")} ${what}${about}.`;
}

function withValues(said: string, values: unknown): string {
  const isAbout = said === "must be equal to one of the allowed values" && Array.isArray(values);
  return isAbout ? `must be one of ${values.join(", ")}` : said;
}

/** Of an argument, or of something in it. */
function schemaAt(schema: Input, [name, ...rest]: readonly string[]): Input {
  if (name === undefined) return schema;
  const { properties, items } = schema;
  const found = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : items;
  return isObject(found) ? schemaAt(found, rest) : {};
}

function propertiesOf({ input }: Tool): Readonly<Record<string, unknown>> {
  return isObject(input["properties"]) ? input["properties"] : {};
}

/** The arguments with their defaults. Failures: `invalid_argument`. */
export async function checked(tool: Tool, given: unknown): Promise<Input> {
  const problem = await problemWith(tool, given);
  if (problem !== undefined) throw problem;
  const defaults = Object.entries(propertiesOf(tool)).flatMap(([name, each]) =>
    isObject(each) && "default" in each ? [[name, each["default"]] as const] : [],
  );
  return { ...Object.fromEntries(defaults), ...(isObject(given) ? given : {}) };
}
