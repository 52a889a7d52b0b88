import {
  acceptedContent,
  type CallToolResult,
  fromJsonSchema,
  inputRequired,
  type McpServer,
  ProtocolErrorCode,
  type ServerContext,
} from "@modelcontextprotocol/server";

import { word } from "./fixture-forms.ts";
import {
  missingTasks,
  type Plan,
  speaksTasks,
  type Tasks,
  tasksExtension,
} from "./fixture-tasks.ts";
import { text } from "./fixture-tools.ts";

/** The tools of the Tasks extension: one that never becomes a task and six that do. */
export function addJobs(server: McpServer, tasks: Tasks): void {
  tasks.attach(server);

  /** A task where the client knows tasks, the result itself where it does not. */
  function run(ctx: ServerContext, plan: Plan & { outcome: { result: CallToolResult } }) {
    return speaksTasks(ctx) ? start(plan) : plan.outcome.result;
  }

  /** The SDK would add the empty content itself. */
  function start(plan: Plan): CallToolResult {
    return { content: [], ...tasks.create(plan) };
  }

  server.registerTool(
    "greet",
    { description: "Greets at once", inputSchema: takes({ name: "string" }) },
    ({ name }) => text(`Hello, ${String(name)}!`),
  );
  server.registerTool(
    "slow_compute",
    {
      description: "Computes until it is looked at twice; from sixty seconds on, for ever",
      inputSchema: takes({ seconds: "number", label: "string" }),
    },
    ({ seconds }, ctx) => {
      const looks = Number(seconds) >= 60 ? Number.POSITIVE_INFINITY : Math.min(Number(seconds), 1);
      return run(ctx, { outcome: { result: text("Computed") }, looks });
    },
  );
  server.registerTool("failing_job", { description: "Fails as a tool; must be a task" }, () =>
    start({ outcome: { result: { ...text("The job failed"), isError: true } }, looks: 1 }),
  );
  server.registerTool("protocol_error_job", { description: "Fails as a request" }, () => {
    const error = { code: ProtocolErrorCode.InternalError, message: "The job broke" };
    return start({ outcome: { error }, looks: 1 });
  });
  server.registerTool(
    "confirm_delete",
    { description: "Asks once", inputSchema: takes({ filename: "string" }) },
    ({ filename }, ctx) => {
      const questions = { confirm: word(`Delete ${String(filename)}?`, "confirm") };
      return run(ctx, { outcome: { result: text("Deleted") }, questions });
    },
  );
  server.registerTool("multi_input", { description: "Asks twice at once" }, (ctx) => {
    const questions = { first: word("First name?", "name"), second: word("Second name?", "name") };
    return run(ctx, { outcome: { result: text("Both answered") }, questions });
  });
  server.registerTool(
    "test_tool_with_task",
    { description: "Asks for a name, then becomes a task" },
    (ctx) => {
      const name = acceptedContent(ctx.mcpReq.inputResponses, "user_name")?.["name"];
      if (typeof name === "string") {
        return start({ outcome: { result: text(`Hello, ${name}!`) }, looks: 1 });
      }
      return inputRequired({ inputRequests: { user_name: word("What is your name?", "name") } });
    },
  );
}

/**
 * Refuses a call of a tool that can only be a task by a client that does not know tasks: `-32021`.
 * It stands in front of the SDK, which would turn the error into a tool result.
 */
export async function refuseWithoutTasks(request: Request): Promise<Response | undefined> {
  const call: unknown = await request
    .clone()
    .json()
    .catch(() => undefined);
  const parsed = taskCall["~standard"].validate(call);
  const result = parsed instanceof Promise ? await parsed : parsed;
  if (result.issues) return undefined;

  const { id, params } = result.value;
  // oxlint-disable-next-line no-underscore-dangle -- the protocol's own name
  const declared = params._meta["io.modelcontextprotocol/clientCapabilities"];
  if (tasksExtension in (declared.extensions ?? {})) return undefined;
  const { code, message, data } = missingTasks();
  return Response.json({ jsonrpc: "2.0", id, error: { code, message, data } }, { status: 400 });
}

type TaskCall = {
  id: string | number;
  params: { _meta: { "io.modelcontextprotocol/clientCapabilities": { extensions?: object } } };
};

const taskCall = fromJsonSchema<TaskCall>({
  type: "object",
  required: ["id", "method", "params"],
  properties: {
    method: { const: "tools/call" },
    params: {
      type: "object",
      required: ["name", "_meta"],
      properties: {
        name: { enum: ["failing_job", "protocol_error_job", "test_tool_with_task"] },
        _meta: {
          type: "object",
          required: ["io.modelcontextprotocol/clientCapabilities"],
          properties: { "io.modelcontextprotocol/clientCapabilities": { type: "object" } },
        },
      },
    },
  },
});

function takes(types: Readonly<Record<string, "string" | "number">>) {
  return fromJsonSchema<Record<string, unknown>>({
    type: "object",
    properties: Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type }])),
  });
}
