import type { Upstream } from "#src/upstreams/upstream.ts";
import type { FailureCode } from "#src/failure.ts";
import type { CallContext } from "#src/policy/plan.ts";
import type { PolicyDecision } from "#src/policy/guard.ts";
import type { Span } from "#src/telemetry/trace.ts";
import type { Call } from "./message.ts";

/** One exchange, filled in as more of it is known; what is known when it fails is still recorded. */
export type McpExchange = {
  readonly requestId: string;
  readonly upstream: Upstream;
  readonly startedAt: number;
  /** The client's, for limits. */
  readonly address: () => string;
  call: Call | undefined;
  /** What policy knows about it, and what the audit trail does; once its caller is proven. */
  context: CallContext | undefined;
  decision: PolicyDecision | undefined;
  upstreamStatus: number | undefined;
  failure: FailureCode | undefined;
  /** What it was, for the log. */
  reason: string | undefined;
  /** Where traces are collected. */
  span: Span | undefined;
};
