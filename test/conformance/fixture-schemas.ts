import { fromJsonSchema, type McpServer } from "@modelcontextprotocol/server";

import { text } from "./fixture-tools.ts";

/** The tools whose input schema is the point: JSON Schema 2020-12 keywords, mirrored parameters. */
export function addSchemaTools(server: McpServer): void {
  server.registerTool(
    "json_schema_2020_12_tool",
    {
      description: "Tool with JSON Schema 2020-12 features",
      inputSchema: fromJsonSchema(contactSchema),
    },
    () => text("The arguments fit the schema"),
  );
  server.registerTool(
    "test_mirrored_parameter",
    {
      description: "Mirrors its region into Mcp-Param-Region (SEP-2243)",
      inputSchema: fromJsonSchema<{ region: string }>(regionSchema),
    },
    ({ region }) => text(`Region: ${region}`),
  );
}

const regionSchema = {
  type: "object",
  properties: { region: { type: "string", "x-mcp-header": "Region" } },
  required: ["region"],
};

const contactSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};
