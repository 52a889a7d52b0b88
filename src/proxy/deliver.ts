import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { type CallContext, endingTopicsOf } from "#src/policy/plan.ts";
import { type PolicyDecision, expectStreamPlace } from "#src/policy/guard.ts";
import type { Cancel, Deadline, Deadlines } from "#src/clock.ts";
import {
  type BodyLimits,
  type Flow,
  type Incoming,
  type Sink,
  wholeBody,
} from "#src/http/exchange.ts";
import { unknownAddress } from "#src/http/address.ts";
import { readAhead } from "#src/http/body.ts";
import { anothers, strayList, unclearList, unreadable } from "./answer-faults.ts";
import { answersAnother, tellsAnother } from "./rpc-id.ts";
import { isOneEvent, messageIn, viewOf } from "./sse.ts";
import { listIn, mayHoldToolList, mostTold, type Inspection } from "./inspection.ts";
import { AnswerRoom, listTooBig, mostListBytes } from "./answer-room.ts";
import { ResponseInspector } from "./response-inspector.ts";
import { type MediaType, headersOut, mediaTypeOf } from "./headers.ts";
import { wholeAnswers } from "#src/runtime/runtime.ts";
import type { OpenStreams } from "./open-streams.ts";
import { type Reader, relayEvents, unreadAtMost } from "./stream.ts";

type Deps = Pick<App, "config" | "bindingKey" | "now"> & {
  readonly deadlines: Deadlines;
  readonly openStreams: OpenStreams;
};

type Delivery = {
  readonly cancel: Cancel;
  /** Watches over the exchange until it is delivered. */
  readonly deadline: Deadline;
  readonly requestId: string;
  /** Milliseconds. */
  readonly startedAt: number;
  readonly reader: Reader;
  readonly inspection: Inspection;
  readonly decision: PolicyDecision;
  /** What the call is about: whatever of it is switched off ends its stream. */
  readonly context: CallContext;
  /** Present when the first event of a stream may be a 2024-11-05 endpoint. */
  readonly endpoint: ((endpoint: string) => string) | undefined;
};

/** Small answers are read whole, which is faster and lets them be timed; bigger ones flow. */
const mostWholeBytes = 1024 * 1024;
const decoder = new TextDecoder();
const nowhere = () => unknownAddress;
const bodiless = new Set([204, 205, 304]);

/**
 * The upstream's answer for the client: event streams flow, other answers have a time limit.
 * Failures: `upstream_timeout`, `upstream_broke_off`, `upstream_invalid`, `busy`, `client_left`; all of them after the
 * call had gone out.
 */
export function deliver(
  app: Deps,
  answer: Incoming,
  delivery: Delivery,
): Response | Promise<Response> {
  // The head is gone when the body has been read.
  const { status, headers } = answer;
  const type = mediaTypeOf(headers.get("content-type"));
  const given = headersOut(app, headers, delivery.context);
  const head = { status, type, given };
  const body = type.isStream
    ? (onlyEvent(app, answer, delivery) ?? streamed(app, answer, delivery))
    : (takenBody(answer, type, delivery) ?? bodyOf(app, answer, type, delivery));
  return body instanceof Promise
    ? respondLater(body, head, delivery)
    : respond(body, head, delivery);
}

type AnswerHead = {
  readonly status: number;
  readonly type: MediaType;
  readonly given: Readonly<Record<string, string>> | undefined;
};

async function respondLater(body: Promise<Body>, head: AnswerHead, delivery: Delivery) {
  return respond(await body, head, delivery);
}

function respond(
  body: Body,
  { status, type, given }: AnswerHead,
  { requestId, decision }: Delivery,
): Response {
  const headers = type.template.headersFor(requestId, decision.headers);
  const response = new Response(body, { status, headers });
  if (!type.isStream || !(body instanceof ReadableStream)) wholeAnswers.add(response);
  for (const name in given) response.headers.set(name, given[name] ?? "");
  return response;
}

type Body = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | string | null;

/** The body, where it came in one piece with the head, as most do; undefined otherwise. */
function takenBody(
  answer: Incoming,
  type: MediaType,
  delivery: Delivery,
): Body | Promise<Body> | undefined {
  if (delivery.inspection.screen !== undefined || bodiless.has(answer.status)) return undefined;
  const body = answer.taken?.(mostWholeBytes);
  return body === undefined ? undefined : inspected(body, answer, type, delivery);
}

const nothing = Buffer.alloc(0);

/**
 * All of an event stream, where it has come already and is one message that its reader may see, as most servers answer
 * a call: nothing flows. Whatever needs a closer look, or is cut at once, passes event by event.
 */
function onlyEvent(app: Deps, answer: Incoming, delivery: Delivery): Body | undefined {
  const { reader, inspection, context, startedAt } = delivery;
  if (!reader.isAwaited || inspection.screen !== undefined) return undefined;
  if (app.openStreams.ended(endingTopicsOf(context), startedAt) !== undefined) return undefined;
  let message: Buffer = nothing;
  const event = answer.taken?.(mostTold, (bytes) => {
    const view = viewOf(bytes);
    if (!isOneEvent(bytes) || view.includes(0) || mayHoldToolList(view)) return false;
    message = messageIn(view);
    return message.length > 0 && !tellsAnother(message, inspection.id, answer.status);
  });
  if (event !== undefined) inspection.ended?.(message, event.length);
  return event;
}

async function bodyOf(
  app: Deps,
  answer: Incoming,
  type: MediaType,
  delivery: Delivery,
): Promise<Body> {
  const length = answer.headers.get("content-length");
  const isSmall = typeof length === "string" && Number(length) <= mostWholeBytes;
  const isBodiless = bodiless.has(answer.status);
  if (isSmall || isBodiless || delivery.inspection.screen !== undefined) {
    const body = await whole(app, answer, type, delivery);
    return isBodiless ? null : body;
  }
  const isOpen = typeof length !== "string" && type.isJson;
  if (!isOpen) return await flowing(app, answer, delivery);
  const { cancel, deadline } = delivery;
  deadline.set(app.config.upstreamLimits.totalMs, cancel);
  const ahead = await readAhead(answer, mostWholeBytes).catch((error: unknown) => {
    throw brokenOff(cancel, error);
  });
  return ahead.isWhole
    ? await whole(app, ahead.incoming, type, delivery)
    : await flowing(app, ahead.incoming, delivery);
}

function streamed(app: Deps, answer: Incoming, delivery: Delivery) {
  const { startedAt: since, reader, endpoint, inspection, context } = delivery;
  // Those that were asked for at the same time did not know of each other.
  if (!reader.isAwaited) expectStreamPlace(app, context.caller.key);
  // It may go on for hours: what was sent, and the request that it came in, are not kept for as long.
  context.address = nowhere;
  // A single call lets go of what it says with its record, which is made next.
  if (context.tools.length > 1) for (const tool of context.tools) tool.settle();
  return relayEvents(app, answer, {
    topics: endingTopicsOf(context),
    since,
    reader,
    endpoint,
    inspection,
  });
}

function brokenOff(cancel: Cancel, error?: unknown): Failure {
  if (error instanceof Failure) return error;
  if (cancel.isLate) {
    return new Failure("upstream_timeout", undefined, { reason: "the answer took too long" });
  }
  if (cancel.isCancelled) return new Failure("client_left");
  return new Failure("upstream_broke_off", undefined, { reason: "the answer broke off" });
}

function whole(app: Deps, answer: Incoming, type: MediaType, delivery: Delivery) {
  const { cancel, deadline, inspection } = delivery;
  deadline.set(app.config.upstreamLimits.totalMs, cancel);
  if (inspection.screen === undefined) {
    return wholeIn({ mostBytes: mostWholeBytes }, answer, type, delivery);
  }
  const room = new AnswerRoom(inspection.caller);
  const grow = (bytes: number) => room.grow(bytes);
  const limits = { mostBytes: mostListBytes, tooLarge: listTooBig, grow };
  return wholeIn(limits, answer, type, delivery).finally(() => room.leave());
}

async function wholeIn(
  limits: BodyLimits,
  answer: Incoming,
  type: MediaType,
  delivery: Delivery,
): Promise<Body> {
  const body = await wholeBody(answer, limits).catch((error: unknown) => {
    throw brokenOff(delivery.cancel, error);
  });
  return await inspected(body, answer, type, delivery);
}

/** A whole answer as its reader may see it. Failures: those of `expectOwn` and `judged`. */
function inspected(
  body: Uint8Array<ArrayBuffer>,
  answer: Incoming,
  { isJson }: MediaType,
  { inspection }: Delivery,
): Body | Promise<Body> {
  const bytes = Buffer.isBuffer(body) ? body : viewOf(body);
  // Some clients read whatever comes as JSON.
  const isMessage = isJson || answer.status < 300;
  if (isMessage) expectOwn(bytes, answer, inspection);
  inspection.ended?.(bytes, body.length);
  return mayHoldToolList(bytes) ? judged(body, inspection, isMessage) : body;
}

/** Failures: `upstream_invalid` for JSON that no reader, or not this one, should see. */
function expectOwn(bytes: Buffer, answer: Incoming, { id }: Inspection): void {
  // Another encoding than UTF-8, which some readers find out by themselves.
  if (bytes.includes(0)) throw unreadable("a NUL in JSON");
  if (!answersAnother(bytes, id, answer.status)) return;
  answer.distrust?.();
  throw anothers();
}

/** What may hold a list of tools, as its reader may see it. Failures: `upstream_invalid` where none belongs. */
async function judged(
  body: Uint8Array<ArrayBuffer>,
  { screen }: Inspection,
  isMessage: boolean,
): Promise<Uint8Array<ArrayBuffer> | string> {
  // Read as a client reads it: without a byte order mark.
  const text = decoder.decode(body);
  const found = listIn(text);
  // A page that tells of a mistake passes as it is: no client reads it as a message.
  if (found === "none" || (found === "unclear" && !isMessage)) return body;
  return (await screenedOrRefused(text, found, screen)) ?? body;
}

function screenedOrRefused(text: string, found: "list" | "unclear", screen: Inspection["screen"]) {
  if (screen !== undefined && found === "list") return screen(text);
  throw found === "unclear" ? unclearList() : strayList();
}

/**
 * A big JSON answer, passed on as it comes and cut at the limit. Resolves with the first of it that passes: what is
 * refused before has an answer of its own.
 */
function flowing(
  app: Deps,
  answer: Incoming,
  { cancel, inspection, decision }: Delivery,
): Promise<ReadableStream<Uint8Array>> {
  const deadline = app.deadlines.open();
  const leave = decision.stay();
  const begun = Promise.withResolvers<ReadableStream<Uint8Array>>();
  const isOver = () => {
    deadline.close();
    leave();
  };
  deadline.set(app.config.upstreamLimits.totalMs, cancel);
  let flow: Flow | undefined;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const sink: Sink = {
          chunk(bytes) {
            controller.enqueue(bytes);
            begun.resolve(stream);
            if ((controller.desiredSize ?? 0) <= 0) flow?.pause();
          },
          end() {
            isOver();
            controller.close();
            begun.resolve(stream);
          },
          fail(error) {
            isOver();
            controller.error(error);
            begun.reject(brokenOff(cancel, error));
          },
        };
        const watch = new ResponseInspector(sink, inspection, false);
        watch.incoming = answer;
        watch.flow = answer.flow(watch);
        flow = watch;
      },
      pull: () => flow?.resume(),
      cancel() {
        isOver();
        flow?.cancel();
      },
    },
    unreadAtMost(mostWholeBytes),
  );
  return begun.promise;
}
