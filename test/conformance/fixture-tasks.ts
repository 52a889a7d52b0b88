import {
  fromJsonSchema,
  type InputRequest,
  type McpServer,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from "@modelcontextprotocol/server";

import { declaredCapabilities } from "./fixture-capabilities.ts";

/** The name of the Tasks extension (SEP-2663) in the capabilities of both sides. */
export const tasksExtension = "io.modelcontextprotocol/tasks";

/** What a task ends with, and what stands between its creation and that end. */
export type Plan = {
  readonly outcome: { readonly result: object } | { readonly error: object };
  /** How many `tasks/get` find it working; `Infinity` waits for a cancellation. */
  readonly looks?: number;
  readonly questions?: Readonly<Record<string, InputRequest>>;
};

export type Tasks = {
  /** Creates a task and returns the answer to `tools/call` that announces it. */
  create(plan: Plan): { resultType: "task"; taskId: string };
  /** Serves `tasks/get`, `tasks/update` and `tasks/cancel`. */
  attach(server: McpServer): void;
};

type Task = {
  readonly taskId: string;
  readonly createdAt: string;
  readonly outcome: Plan["outcome"];
  looksLeft: number;
  isCancelled: boolean;
  readonly questions: Map<string, InputRequest>;
};

/**
 * Tasks that advance when they are looked at instead of with the clock, so that a slow machine
 * and a slow intermediary see the same states in the same order.
 */
export function createTasks(): Tasks {
  const tasks = new Map<string, Task>();

  function find(taskId: string, ctx: ServerContext): Task {
    if (!speaksTasks(ctx)) throw missingTasks();
    const task = tasks.get(taskId);
    if (task) return task;
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, "Unknown task", { taskId });
  }

  return {
    create({ outcome, looks = 0, questions = {} }) {
      const task: Task = {
        taskId: crypto.randomUUID(),
        createdAt: new Date().toISOString(),
        outcome,
        looksLeft: looks,
        isCancelled: false,
        questions: new Map(Object.entries(questions)),
      };
      tasks.set(task.taskId, task);
      return { resultType: "task", ...describe(task) };
    },
    attach(server) {
      const { server: protocol } = server;
      protocol.registerCapabilities({ extensions: { [tasksExtension]: {} } });
      protocol.setRequestHandler("tasks/get", { params: onlyTaskId }, ({ taskId }, ctx) => {
        const task = find(taskId, ctx);
        const seen = { ...describe(task), ...details(task) };
        task.looksLeft -= 1;
        return seen;
      });
      protocol.setRequestHandler("tasks/update", { params: onlyTaskId }, ({ taskId }, ctx) => {
        const task = find(taskId, ctx);
        for (const key of Object.keys(ctx.mcpReq.inputResponses ?? {})) task.questions.delete(key);
        return {};
      });
      protocol.setRequestHandler("tasks/cancel", { params: onlyTaskId }, ({ taskId }, ctx) => {
        const task = find(taskId, ctx);
        task.isCancelled ||= status(task) === "working" || status(task) === "input_required";
        return {};
      });
    },
  };
}

/** Whether this very request declares the extension (SEP-2575). */
export function speaksTasks(ctx: ServerContext): boolean {
  return tasksExtension in (declaredCapabilities(ctx).extensions ?? {});
}

export function missingTasks(): MissingRequiredClientCapabilityError {
  return new MissingRequiredClientCapabilityError({
    requiredCapabilities: { extensions: { [tasksExtension]: {} } },
  });
}

function status(task: Task) {
  if (task.isCancelled) return "cancelled";
  if (task.questions.size > 0) return "input_required";
  if (task.looksLeft > 0) return "working";
  return "error" in task.outcome ? "failed" : "completed";
}

function describe(task: Task) {
  const { taskId, createdAt } = task;
  const lastUpdatedAt = new Date().toISOString();
  return {
    taskId,
    status: status(task),
    createdAt,
    lastUpdatedAt,
    ttlMs: 600_000,
    pollIntervalMs: 100,
  };
}

function details(task: Task): object {
  const now = status(task);
  if (now === "input_required") return { inputRequests: Object.fromEntries(task.questions) };
  return now === "completed" || now === "failed" ? task.outcome : {};
}

const onlyTaskId = fromJsonSchema<{ taskId: string }>({
  type: "object",
  properties: { taskId: { type: "string" } },
  required: ["taskId"],
});
