import { type CallContext, type HashDeps, ToolInvocation } from "#src/policy/call.ts";
import { type CallerPlan, type PlanDeps, planForTool } from "#src/policy/plan.ts";
import { Failure } from "#src/failure.ts";
import { type Call, isBig } from "./message.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { McpExchange } from "./mcp-exchange.ts";

/** What policy knows about a call, before it is made. */
export function contextOf(
  app: PlanDeps & HashDeps,
  { upstream, address }: Pick<McpExchange, "upstream" | "address">,
  plan: CallerPlan,
  { call, at }: { readonly call: Call; readonly at: number },
): CallContext {
  const tools: ToolInvocation[] = [];
  for (const { name, written } of call.toolCalls) {
    tools.push(new ToolInvocation(planForTool(app, plan, name), written, app));
  }
  const { httpMethod, rpcMethods: methods } = call;
  return { plan, caller: plan.caller, upstream, httpMethod, methods, tools, address, at };
}

/** Whatever ends its stream, or the call itself while it waits: one list for all calls of one tool by one caller. */
export function endingTopicsOf({ plan, tools }: CallContext): readonly string[] {
  const [only] = tools;
  if (only === undefined) return plan.endingTopics;
  if (tools.length === 1) return only.plan.endingTopics;
  return [...new Set(tools.flatMap((tool) => tool.plan.endingTopics))];
}

/** It may have waited for seconds: what was switched off or has ended meanwhile is not sent. */
export function expectStill(
  { openStreams }: { readonly openStreams: Pick<OpenStreams, "ended"> },
  { startedAt }: Pick<McpExchange, "startedAt">,
  context: CallContext,
): void {
  const over = openStreams.ended(endingTopicsOf(context), startedAt);
  if (over !== undefined) throw new Failure(over);
}

/** What policy has looked at is not needed while the upstream works; only of a small call it is kept until its end. */
export function settle({ tools }: CallContext, body: Uint8Array | undefined): void {
  if (isBig(body)) for (const tool of tools) tool.settle();
}
