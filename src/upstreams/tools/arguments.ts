import { fromJsonSchema } from "@modelcontextprotocol/server";
import { isObject } from "#src/config/read.ts";
import { ToolProblem } from "./problem.ts";
import type { Input, Tool } from "./tool.ts";

/** Compiled once for each tool. */
const schemas = new WeakMap<Tool, ReturnType<typeof fromJsonSchema<Input>>>();

/** What is wrong with a tool's arguments; undefined when it takes them. Sends nothing. */
export function problemWith(tool: Tool, given: unknown): ToolProblem | undefined {
  const schema = schemas.get(tool) ?? fromJsonSchema<Input>(tool.input);
  schemas.set(tool, schema);
  const result = schema["~standard"].validate(given);
  if (result instanceof Promise) throw new Error("a schema of a tool is checked at once");
  if (result.issues === undefined) return undefined;
  const words = (result.issues[0]?.message ?? "wrong arguments").slice(0, 300);
  return new ToolProblem("invalid_argument", words);
}

/** The arguments with their defaults. Failures: `invalid_argument`. */
export function checked(tool: Tool, given: unknown): Input {
  const problem = problemWith(tool, given);
  if (problem !== undefined) throw problem;
  const properties = isObject(tool.input["properties"]) ? tool.input["properties"] : {};
  const defaults = Object.entries(properties).flatMap(([name, each]) =>
    isObject(each) && "default" in each ? [[name, each["default"]] as const] : [],
  );
  return { ...Object.fromEntries(defaults), ...(isObject(given) ? given : {}) };
}
