import type { Caller } from "#src/agents/caller.ts";
import type { Upstream } from "#src/catalog/upstream.ts";

/** What a call, or an open stream, is about: whatever of it is switched off stops it. */
export type Scene = {
  readonly upstream: string;
  readonly provider: string | undefined;
  readonly accountId: string | undefined;
  /** `grant:ID`, `session:ID` or `agent:ID`. */
  readonly caller: string;
  /** The client id; undefined for a session. */
  readonly agent: string | undefined;
  readonly tools: readonly string[];
};

/** Everything that can be switched off and would stop this, the widest first. */
export function subjectsOf(scene: Scene): readonly string[] {
  const { upstream, provider, accountId, caller, agent, tools } = scene;
  return [
    "all",
    `upstream:${upstream}`,
    ...(provider === undefined ? [] : [`provider:${provider}`]),
    ...(accountId === undefined ? [] : [`account:${accountId}`]),
    ...(agent === undefined ? [] : [`agent:${agent}`]),
    caller,
    ...tools.map((tool) => `tool:${upstream}/${tool}`),
  ];
}

/** What anybody's call to an upstream is about. */
export function sceneOfUpstream({ name, credential }: Upstream): Scene {
  return {
    upstream: name,
    provider: credential.kind === "account" ? credential.provider : undefined,
    accountId: undefined,
    caller: "",
    agent: undefined,
    tools: [],
  };
}

/** What every call of a caller to an upstream is about. */
export function sceneOfCaller(caller: Caller, upstream: Upstream): Scene {
  const { accountId, key, agent } = caller;
  return { ...sceneOfUpstream(upstream), accountId, caller: key, agent };
}
