import { connect } from "node:net";
import type { App } from "#src/app.ts";
import { type Upstream, insideScheme } from "#src/upstreams/upstream.ts";
import { createCache } from "#src/cache.ts";
import { type FailureCode, Failure, asFailure } from "#src/failure.ts";
import { reasonOf } from "#src/http/reason.ts";

/** Whether an upstream can be connected to at all; asked only after it was silent for a while. */
export type ConnectCheck = {
  /** Failures: `upstream_timeout`, `upstream_unreachable`. */
  expect(upstream: Upstream): Promise<void> | undefined;
  answered(upstream: Upstream): void;
  failed(upstream: Upstream, code: FailureCode): void;
  /** The upstreams whose last exchange of the last five minutes failed, with the code of the failure. */
  failing(): ReadonlyMap<string, FailureCode>;
  /** The same as a code, `pass` or that of the failure; asked once in five seconds, whoever wants to know. */
  state(upstream: Upstream): Promise<string>;
  /** When the upstream last answered anything, in milliseconds; undefined when it never did. */
  lastAnswer(upstream: Upstream): number | undefined;
};

const trustMs = 30_000;
const failingMs = 5 * 60_000;

/** `fetch` has no limit of its own for connecting, and the limit for an answer is far too long for that. */
export function createConnectCheck(app: Pick<App, "config" | "now" | "once">): ConnectCheck {
  const answeredAt = new Map<string, number>();
  const failedAt = new Map<string, { readonly at: number; readonly code: FailureCode }>();
  const now = () => app.now().getTime();
  const states = createCache<string>({ freshMs: 5000, staleMs: 0, size: 1000, now });
  const expect = ({ name, url }: Upstream) => {
    const last = answeredAt.get(name);
    if (app.config.usesProxy || url.startsWith(insideScheme)) return undefined;
    if (last !== undefined && now() - last < trustMs) return undefined;
    return app.once(`reach ${name}`, () => knock(url, app.config.upstreamLimits.connectMs));
  };
  const stateOf = async (upstream: Upstream) => {
    try {
      await expect(upstream);
      return "pass";
    } catch (error) {
      return asFailure(error).code;
    }
  };
  return {
    expect,
    state: async (upstream) => (await states.get(upstream.name, () => stateOf(upstream))) ?? "pass",
    answered({ name }) {
      answeredAt.set(name, now());
      if (failedAt.size > 0) failedAt.delete(name);
    },
    failed: ({ name }, code) => void failedAt.set(name, { at: now(), code }),
    failing() {
      const recent = [...failedAt].filter(([, { at }]) => now() - at < failingMs);
      return new Map(recent.map(([name, { code }]) => [name, code]));
    },
    lastAnswer: ({ name }) => answeredAt.get(name),
  };
}

async function knock(url: string, limitMs: number): Promise<void> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const socket = connect({ host, port: Number(port) || (protocol === "https:" ? 443 : 80) });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(limitMs, () =>
        reject(
          new Failure("upstream_timeout", "No connection within the limit", {
            reason: "no connection within the limit",
          }),
        ),
      );
      socket.once("connect", () => resolve());
      socket.once("error", (error) => {
        reject(new Failure("upstream_unreachable", undefined, { reason: reasonOf(error) }));
      });
    });
  } finally {
    socket.destroy();
  }
}
