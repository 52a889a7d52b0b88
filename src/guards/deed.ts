import type { Caller } from "#src/agents/caller.ts";
import { scopeFor } from "#src/agents/scopes.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { type Scene, sceneOfUpstream } from "./subjects.ts";

/** One use of a tool. */
export type ToolUse = {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly canonical: string;
  /** Keyed hash of upstream, name and canonical arguments. */
  readonly hash: string;
};

/** What is about to be done, as guards see it. */
export type Deed = {
  readonly caller: Caller;
  readonly upstream: Upstream;
  readonly httpMethod: string;
  /** Of every message in it. */
  readonly methods: readonly string[];
  readonly tools: readonly ToolUse[];
  readonly address: () => string;
};

/** How many requests it counts as. */
export function requestsIn({ methods }: Deed): number {
  return Math.max(methods.length, 1);
}

/** How many messages in it do something: lists and notifications cost nobody anything. */
export function actsIn({ methods }: Deed): number {
  return methods.filter((method) => scopeFor(method) !== "mcp:read").length;
}

export function sceneOf({ caller, upstream, tools }: Deed): Scene {
  return {
    ...sceneOfUpstream(upstream),
    accountId: caller.accountId,
    caller: caller.key,
    agent: caller.agent,
    tools: tools.map(({ name }) => name),
  };
}
