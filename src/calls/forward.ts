import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Call } from "./message.ts";
import type { Reach } from "./reach.ts";

export type Forwarding = Pick<App, "config"> & {
  readonly deadlines: Deadlines;
  readonly reach: Reach;
};

export type Outgoing = {
  readonly upstream: Upstream;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly call: Call;
  /** Aborts the exchange with the upstream; tied to the client's connection by the caller. */
  readonly abort: AbortController;
};

/** Sends one call. Failures: `upstream_unreachable`, `upstream_timeout`, `upstream_redirected`. */
export async function forward(app: Forwarding, outgoing: Outgoing): Promise<Response> {
  const { upstream, url, call, abort } = outgoing;
  await app.reach.expect(upstream);
  let isLate = false;
  // A GET opens a stream that may have nothing to say for hours.
  const deadline =
    call.httpMethod === "GET"
      ? undefined
      : app.deadlines.set(app.config.upstreamLimits.firstByteMs, () => {
          isLate = true;
          abort.abort();
        });
  try {
    const answer = await fetch(url, request(outgoing));
    app.reach.answered(upstream);
    if (answer.status < 300 || answer.status >= 400) return answer;
    abort.abort();
    throw new Failure("upstream_redirected");
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(isLate ? "upstream_timeout" : "upstream_unreachable");
  } finally {
    deadline?.clear();
  }
}

/** `timeout: false` is Bun's: its fetch otherwise ends a silent stream after six minutes. */
function request({ call, headers, abort }: Outgoing): RequestInit & { timeout: false } {
  return {
    method: call.httpMethod,
    headers,
    redirect: "manual",
    signal: abort.signal,
    timeout: false,
    ...(call.body === undefined ? {} : { body: call.body }),
  };
}
