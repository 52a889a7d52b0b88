import type { Caller } from "#src/oauth-server/caller.ts";
import { scopeFor } from "#src/oauth-server/scopes.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { TagOf } from "#src/crypto/secret.ts";
import type { Digest, DigestOf } from "#src/runtime/runtime.ts";
import type { CallerPlan, ToolPlan } from "./plan.ts";

/** What a call of a tool says, as it was written. */
export type Written = {
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The same text for the same arguments, in whatever order they were written (see `canonicalJson`). */
  readonly canonical: string;
  /** The same of everything that reaches the upstream and that a person agrees to. */
  readonly request: string;
};

/** What hashes of arguments are made with: one that leaves this process, and one that does not. */
export type HashDeps = {
  readonly bindingKey: Uint8Array;
  readonly digest: DigestOf;
  readonly tag: TagOf;
};

/** Arguments up to this many characters are kept until their hash is made. */
const mostKept = 2048;

/** One call of a tool. What it says is worked out when a guard asks for it; `settle` lets go of it. */
export class ToolInvocation {
  readonly plan: ToolPlan;
  readonly #hashing: HashDeps;
  #written: Written | undefined;
  #canonical: string | undefined;
  #hash: string | undefined;
  #digest: Digest | undefined;

  constructor(plan: ToolPlan, written: Written, hashing: HashDeps) {
    this.plan = plan;
    this.#written = written;
    this.#hashing = hashing;
  }

  get name(): string {
    return this.plan.name;
  }

  /** Of upstream, name and arguments, keyed, for this process alone: enough to tell whether it was the same before. */
  get digest(): Digest {
    const { digest } = this.#hashing;
    return (this.#digest ??= digest(this.#written?.canonical ?? "", this.plan.hashSeed));
  }

  /** Keyed hash of upstream, name and canonical arguments: short ones could be guessed from a plain hash. */
  get hash(): string {
    this.#hash ??= this.#tag("call", this.#canonical ?? this.#written?.canonical ?? "");
    this.#canonical = undefined;
    return this.#hash;
  }

  /** What it says; undefined once it was settled. */
  get written(): Written | undefined {
    return this.#written;
  }

  /** Keyed hash of what a person agrees to: the arguments alone where the call says nothing else. */
  requestHash(): string {
    const { canonical, request } = this.#written ?? {};
    return request === canonical ? this.hash : this.#tag("request", request ?? "");
  }

  /** Lets go of what the call says; digests of fixed size remain. */
  settle(): void {
    if (this.#written === undefined) return;
    this.#hash = this.hash;
    this.#digest = this.digest;
    this.#written = undefined;
  }

  /** The same, but short arguments are kept until `hash` is read: for whoever reads it soon, and nobody waits. */
  settleWithoutHash(): void {
    const canonical = this.#written?.canonical;
    if (canonical === undefined || canonical.length > mostKept) return this.settle();
    this.#digest = this.digest;
    this.#canonical = canonical;
    this.#written = undefined;
  }

  #tag(kind: "call" | "request", text: string): string {
    const { tag, bindingKey } = this.#hashing;
    return tag(bindingKey, `${kind}:${this.plan.hashContext}`, text);
  }
}

/** A call as policy sees it, before it is sent. */
export type CallContext = {
  readonly plan: CallerPlan;
  readonly caller: Caller;
  readonly upstream: Upstream;
  readonly httpMethod: string;
  /** Of every message in it. */
  readonly methods: readonly string[];
  readonly tools: readonly ToolInvocation[];
  /** The client's network, asked for only when something is about it. */
  readonly address: () => string;
  /** The one reading of the clock that all of its checks go by, in milliseconds. */
  readonly at: number;
};

/** How many requests it counts as. */
export function requestsIn({ methods }: Pick<CallContext, "methods">): number {
  return methods.length > 1 ? methods.length : 1;
}

/** How many messages in it do something: lists and notifications cost nobody anything. */
export function actsIn({ methods }: Pick<CallContext, "methods">): number {
  let acts = 0;
  for (const method of methods) if (scopeFor(method) !== "mcp:read") acts += 1;
  return acts;
}

/** The only call of a tool in it. Of a batch nobody knows which result is whose. */
export function onlyTool({ tools, methods }: CallContext): ToolInvocation | undefined {
  return tools.length === 1 && methods.length === 1 ? tools[0] : undefined;
}
