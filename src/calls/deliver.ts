import type { Caller } from "#src/agents/caller.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";
import { switchedOff } from "#src/guards/switches.ts";
import type { Cancel } from "#src/http/cancel.ts";
import { type Flow, type Incoming, wholeBody } from "#src/http/exchange.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { headersOut } from "./headers.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { OpenStreams } from "./open-streams.ts";
import { type Reader, relayEvents } from "./stream.ts";

type Delivering = Pick<App, "config" | "bindingKey" | "now"> & {
  readonly deadlines: Deadlines;
  readonly heartbeat: Heartbeat;
  readonly openStreams: OpenStreams;
};

type Delivery = {
  readonly owner: { readonly caller: Caller; readonly upstream: Upstream };
  readonly cancel: Cancel;
  /** Watches over the exchange until it is delivered. */
  readonly deadline: Deadline;
  readonly requestId: string;
  /** Milliseconds. */
  readonly startedAt: number;
  readonly reader: Reader;
  /** Present when the first event of a stream may be a 2024-11-05 endpoint. */
  readonly endpoint?: (endpoint: string) => string;
};

/** Small answers are read whole, which is faster and lets them be timed; bigger ones flow. */
const mostWholeBytes = 1024 * 1024;
const bodiless = new Set([204, 205, 304]);

/**
 * The upstream's answer for the client: event streams flow, other answers have a time limit.
 * Failures: `upstream_timeout`, `upstream_unreachable` when it breaks off.
 */
export async function deliver(
  app: Delivering,
  answer: Incoming,
  delivery: Delivery,
): Promise<Response> {
  const { owner, requestId, endpoint } = delivery;
  const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const headers = headersOut(app, answer.headers, { ...owner, isStream, requestId });
  const { status } = answer;
  if (isStream) {
    const subjects = [...owner.caller.subjects, switchedOff(owner.upstream.name)];
    const { startedAt: since, reader } = delivery;
    const relayed = { subjects, since, reader, endpoint };
    return new Response(relayEvents(app, answer, relayed), { status, headers });
  }
  const length = answer.headers.get("content-length");
  const isSmall = typeof length === "string" && Number(length) <= mostWholeBytes;
  const body =
    isSmall || bodiless.has(status)
      ? await whole(app, answer, delivery)
      : flowing(app, answer, delivery);
  return new Response(bodiless.has(status) ? null : body, { status, headers });
}

async function whole(app: Delivering, answer: Incoming, { cancel, deadline }: Delivery) {
  deadline.set(app.config.upstreamLimits.totalMs, () => cancel.cancel());
  try {
    return await wholeBody(answer, mostWholeBytes);
  } catch {
    throw new Failure(cancel.isCancelled ? "upstream_timeout" : "upstream_unreachable");
  }
}

/** A big JSON answer, passed on as it comes and cut at the limit. */
function flowing(
  app: Delivering,
  answer: Incoming,
  { cancel }: Delivery,
): ReadableStream<Uint8Array> {
  const deadline = app.deadlines.open();
  deadline.set(app.config.upstreamLimits.totalMs, () => cancel.cancel());
  let flow: Flow | undefined;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        flow = answer.flow({
          chunk(bytes) {
            controller.enqueue(bytes);
            if ((controller.desiredSize ?? 0) <= 0) flow?.pause();
          },
          end() {
            deadline.close();
            controller.close();
          },
          fail(error) {
            deadline.close();
            controller.error(error);
          },
        });
      },
      pull: () => flow?.resume(),
      cancel() {
        deadline.close();
        flow?.cancel();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: mostWholeBytes }),
  );
}
