import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";

/** Everything that can be switched off and would stop anybody's call to an upstream, the widest first. */
export function topicsOfUpstream({ name, credential }: Upstream): readonly string[] {
  const provider = credential.kind === "account" ? [`provider:${credential.provider}`] : [];
  return ["all", `upstream:${name}`, ...provider];
}

/** The same of the calls of one caller, but for their tools. */
export function topicsOfCaller(
  { accountId, agent, key }: Caller,
  upstream: Upstream,
): readonly string[] {
  return [
    ...topicsOfUpstream(upstream),
    ...(accountId === undefined ? [] : [`account:${accountId}`]),
    ...(agent === undefined ? [] : [`agent:${agent}`]),
    key,
  ];
}
