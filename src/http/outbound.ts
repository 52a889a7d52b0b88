import { gather } from "./body.ts";

/** An answer from outside, read whole and bounded. */
export type OutsideAnswer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

export type OutboundRequest = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
};

/**
 * The way to providers: http(s) only, a time limit, redirects never followed, answers of 256 KiB at most.
 * Rejects with `OutsideTrouble` when there is no complete answer.
 */
export type Outbound = (url: string, request: OutboundRequest) => Promise<OutsideAnswer>;

export class OutsideTrouble extends Error {
  readonly reason: "timeout" | "unreachable" | "too_large";

  constructor(reason: OutsideTrouble["reason"]) {
    super(`no usable answer: ${reason}`);
    this.name = "OutsideTrouble";
    this.reason = reason;
  }
}

const mostBytes = 256 * 1024;

/** @param options What the runtime's own fetch is given besides. */
export function createOutbound(timeoutMs: number, options: object = {}): Outbound {
  return async (url, request) => {
    if (!/^https?:\/\//.test(url)) throw new OutsideTrouble("unreachable");
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const init: RequestInit & { proxy?: false } = {
        ...options,
        ...request,
        redirect: "manual",
        signal,
      };
      // Bun's own: what runs on this machine is not for a proxy.
      if (isLoopback(url)) init.proxy = false;
      const response = await fetch(url, init);
      const tooLarge = () => new OutsideTrouble("too_large");
      const bytes = await gather(response.body, mostBytes, tooLarge);
      const text = Buffer.from(bytes).toString("utf8");
      return { status: response.status, headers: response.headers, text };
    } catch (error) {
      if (error instanceof OutsideTrouble) throw error;
      throw new OutsideTrouble(signal.aborted ? "timeout" : "unreachable");
    }
  };
}

function isLoopback(url: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}
