import type { Caller } from "#src/agents/session.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";
import type { Deadlines } from "./deadlines.ts";
import { rewriteEndpoint } from "./first-event.ts";
import { headersOut } from "./headers.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { relayEvents } from "./stream.ts";

type Delivering = Pick<App, "config" | "bindingKey" | "now"> & {
  readonly deadlines: Deadlines;
  readonly heartbeat: Heartbeat;
};

type Delivery = {
  readonly owner: { readonly caller: Caller; readonly upstream: Upstream };
  readonly abort: AbortController;
  readonly requestId: string;
  /** Present when the first event of a stream may be a 2024-11-05 endpoint. */
  readonly endpoint?: (endpoint: string) => string;
};

/** Small answers are read whole, which is faster and lets them be timed; bigger ones flow. */
const mostWholeBytes = 1024 * 1024;

/** The upstream's answer for the client: event streams flow, other answers have a time limit. Failures: `upstream_timeout`. */
export async function deliver(
  app: Delivering,
  answer: Response,
  delivery: Delivery,
): Promise<Response> {
  const { owner, requestId } = delivery;
  const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const headers = headersOut(app, answer.headers, { ...owner, isStream, requestId });
  const { status } = answer;
  if (answer.body === null) return new Response(null, { status, headers });
  if (isStream) return new Response(events(app, answer.body, delivery), { status, headers });
  const isSmall =
    Number(answer.headers.get("content-length") ?? Number.POSITIVE_INFINITY) <= mostWholeBytes;
  const body = isSmall ? await whole(app, answer, delivery) : flowing(app, answer.body, delivery);
  return new Response(body, { status, headers });
}

function events(app: Delivering, body: ReadableStream<Uint8Array>, delivery: Delivery) {
  const { endpoint } = delivery;
  const now = () => app.now().getTime();
  const source = endpoint === undefined ? body : rewriteEndpoint(body, endpoint);
  return relayEvents(source, { heartbeat: app.heartbeat, now, ended: () => undefined });
}

async function whole(app: Delivering, answer: Response, { abort }: Delivery): Promise<ArrayBuffer> {
  const deadline = app.deadlines.set(app.config.upstreamLimits.totalMs, () => abort.abort());
  try {
    return await answer.arrayBuffer();
  } catch {
    throw new Failure(abort.signal.aborted ? "upstream_timeout" : "upstream_unreachable");
  } finally {
    deadline.clear();
  }
}

/** A big JSON answer, passed on as it comes and cut at the limit. */
function flowing(app: Delivering, body: ReadableStream<Uint8Array>, { abort }: Delivery) {
  const deadline = app.deadlines.set(app.config.upstreamLimits.totalMs, () => abort.abort());
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        deadline.clear();
        controller.close();
      } catch (error) {
        deadline.clear();
        controller.error(error);
      }
    },
    cancel(reason) {
      deadline.clear();
      return reader.cancel(reason);
    },
  });
}
