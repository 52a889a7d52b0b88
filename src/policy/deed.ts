import type { Caller } from "#src/agents/caller.ts";
import { scopeFor } from "#src/agents/scopes.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { type Scene, sceneOfUpstream } from "./subjects.ts";

/** What a call of a tool says, as it was written. */
export type Written = {
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The same text for the same arguments, in whatever order they were written (see `canonicalJson`). */
  readonly canonical: string;
  /** The same of everything that reaches the upstream and that a person agrees to. */
  readonly request: string;
};

/**
 * One use of a tool. What it says is worked out when a guard asks for it, and let go of once they have decided
 * (`settle`): only a digest of fixed size is kept while the upstream works.
 */
export class ToolUse {
  readonly name: string;
  readonly #tag: (kind: "call" | "request", text: string) => string;
  #written: Written | undefined;
  #hash: string | undefined;

  constructor(
    name: string,
    written: Written,
    /** Keyed: short arguments could be guessed from a plain hash. */
    tag: (kind: "call" | "request", text: string) => string,
  ) {
    this.name = name;
    this.#written = written;
    this.#tag = tag;
  }

  /** Keyed hash of upstream, name and canonical arguments. */
  get hash(): string {
    return (this.#hash ??= this.#tag("call", this.#written?.canonical ?? ""));
  }

  /** What it says; undefined once guards have decided. */
  get written(): Written | undefined {
    return this.#written;
  }

  /** Keyed hash of what a person agrees to: the arguments alone where the call says nothing else. */
  requestHash(): string {
    const { canonical, request } = this.#written ?? {};
    return request === canonical ? this.hash : this.#tag("request", request ?? "");
  }

  settle(): void {
    this.#hash = this.hash;
    this.#written = undefined;
  }
}

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

export function sceneOf({
  caller,
  upstream,
  tools,
}: Pick<Deed, "caller" | "upstream" | "tools">): Scene {
  return {
    ...sceneOfUpstream(upstream),
    accountId: caller.accountId,
    caller: caller.key,
    agent: caller.agent,
    tools: tools.map(({ name }) => name),
  };
}
