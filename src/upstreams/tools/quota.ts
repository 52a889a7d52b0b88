import { ToolProblem } from "./problem.ts";

/**
 * The quota that all sellers of this gateway share at a vendor, because it counts by application: a fair queue for each
 * family of endpoints, and a stop for who repeats what is refused.
 */
export type Quota = {
  /** Resolves when it is this seller's turn. Failures: `rate_limited` after ten seconds, or while stopped. */
  enter(family: string, seller: string): Promise<void>;
  /** The API has refused a request of this seller (4xx). */
  refused(seller: string): void;
};

type Options = {
  /** Requests a minute of each family; `default` for others. */
  readonly perMinute: Readonly<Record<string, number>> & { readonly default: number };
  /** Milliseconds. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
};

const burstMs = 5000;
const longestWaitMs = 10_000;
const [mostRefusals, refusalMs, stopMs, mostKnown] = [20, 60_000, 60_000, 10_000];

/** In this process; each replica takes what its own sellers ask for. */
export function createQuota({ perMinute, now, sleep }: Options): Quota {
  /** When a family is free again, and when each seller of it is. */
  const families = new Map<string, { freeAt: number; readonly sellers: Map<string, number> }>();
  const refusals = new Map<string, { since: number; count: number; stoppedUntil: number }>();

  function waitMs(family: string, seller: string): number {
    const at = now();
    const stepMs = 60_000 / (perMinute[family] ?? perMinute.default);
    const known = families.get(family) ?? { freeAt: 0, sellers: new Map<string, number>() };
    families.set(family, known);
    const active = [...known.sellers.values()].filter((each) => each > at - burstMs).length + 1;
    // Whoever asks much waits for their own share; whoever asks little passes at once.
    const own = Math.max(known.sellers.get(seller) ?? 0, at - burstMs) + stepMs * active;
    const all = Math.max(known.freeAt, at - burstMs) + stepMs;
    const wait = Math.max(Math.min(own, at + longestWaitMs + 1), all) - at;
    if (wait > longestWaitMs) return wait;
    known.freeAt = all;
    if (known.sellers.size >= mostKnown) known.sellers.clear();
    known.sellers.set(seller, own);
    return Math.max(wait, 0);
  }

  return {
    async enter(family, seller) {
      if ((refusals.get(seller)?.stoppedUntil ?? 0) > now()) throw stopped();
      const wait = waitMs(family, seller);
      if (wait > longestWaitMs) {
        throw new ToolProblem("rate_limited", "Too many requests of this account at once", {
          nextStep: "Wait a minute, and ask for less at once.",
        });
      }
      if (wait > 0) await sleep(wait);
    },
    refused(seller) {
      const at = now();
      const known = refusals.get(seller);
      const isFresh = known !== undefined && at - known.since < refusalMs;
      const count = isFresh ? known.count + 1 : 1;
      if (refusals.size >= mostKnown) refusals.clear();
      const stoppedUntil = count >= mostRefusals ? at + stopMs : 0;
      refusals.set(seller, { since: isFresh ? known.since : at, count, stoppedUntil });
    },
  };
}

function stopped(): ToolProblem {
  return new ToolProblem(
    "rate_limited",
    "Too many refused requests in a minute: Mercado Libre blocks applications for that",
    { nextStep: "Wait a minute. Look at what was refused and why before the next call." },
  );
}
