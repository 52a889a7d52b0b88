import type { Caller } from "#src/agents/caller.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure } from "#src/failure.ts";
import type { Passed } from "#src/policy/guard.ts";
import { type Scene, subjectsOf } from "#src/policy/subjects.ts";
import { switchedOff } from "#src/policy/switches.ts";
import type { Cancel } from "#src/http/cancel.ts";
import { type Flow, type Incoming, type Sink, wholeBody } from "#src/http/exchange.ts";
import { readAhead } from "#src/http/read-ahead.ts";
import { anothers, strayList, unclearList, unreadable } from "./answer-faults.ts";
import { answersAnother } from "./answer-id.ts";
import { AnswerRoom, listTooBig, mostListBytes } from "./answer-room.ts";
import { AnswerWatch, type Watching } from "./answer-watch.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { headersOut, isStreamType } from "./headers.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { OpenStreams } from "./open-streams.ts";
import { type Reader, relayEvents } from "./stream.ts";
import { listIn, mayHoldToolList } from "./tool-lists.ts";

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
  readonly watching: Watching;
  readonly passed: Pick<Passed, "headers" | "stay">;
  /** What the call is about: whatever of it is switched off ends its stream. */
  readonly scene: Scene;
  /** Present when the first event of a stream may be a 2024-11-05 endpoint. */
  readonly endpoint?: (endpoint: string) => string;
};

/** Small answers are read whole, which is faster and lets them be timed; bigger ones flow. */
const mostWholeBytes = 1024 * 1024;
const decoder = new TextDecoder();
const bodiless = new Set([204, 205, 304]);

/**
 * The upstream's answer for the client: event streams flow, other answers have a time limit.
 * Failures: `upstream_timeout`, `upstream_broke_off`, `upstream_invalid`, `busy`, `client_left`; all of them after the
 * call had gone out.
 */
export async function deliver(
  app: Delivering,
  answer: Incoming,
  delivery: Delivery,
): Promise<Response> {
  const { owner, requestId, passed } = delivery;
  const isStream = isStreamType(answer.headers.get("content-type"));
  const headers = headersOut(app, answer.headers, {
    ...owner,
    isStream,
    requestId,
    limits: passed.headers,
  });
  const { status } = answer;
  if (isStream) {
    const off = subjectsOf(delivery.scene).map(switchedOff);
    const { subjects: restsOn, key } = owner.caller;
    const subjects = [...new Set([...restsOn, key, ...off])];
    const { startedAt: since, reader, endpoint, watching } = delivery;
    const relayed = { subjects, since, reader, endpoint, watching };
    return new Response(relayEvents(app, answer, relayed), { status, headers });
  }
  const isBodiless = bodiless.has(status);
  const body = await bodyOf(app, answer, { isBodiless, delivery });
  return new Response(isBodiless ? null : body, { status, headers });
}

async function bodyOf(
  app: Delivering,
  answer: Incoming,
  { isBodiless, delivery }: { readonly isBodiless: boolean; readonly delivery: Delivery },
) {
  const length = answer.headers.get("content-length");
  const isSmall = typeof length === "string" && Number(length) <= mostWholeBytes;
  if (isSmall || isBodiless || delivery.watching.screen !== undefined) {
    return await whole(app, answer, delivery);
  }
  const isOpen = typeof length !== "string" && isJsonType(answer.headers.get("content-type"));
  if (!isOpen) return await flowing(app, answer, delivery);
  const { cancel, deadline } = delivery;
  deadline.set(app.config.upstreamLimits.totalMs, () => cancel.expire());
  const ahead = await readAhead(answer, mostWholeBytes).catch((error: unknown) => {
    throw brokenOff(cancel, error);
  });
  return ahead.isWhole
    ? await whole(app, ahead.incoming, delivery)
    : await flowing(app, ahead.incoming, delivery);
}

function brokenOff(cancel: Cancel, error?: unknown): Failure {
  if (error instanceof Failure) return error;
  if (cancel.isLate) {
    return new Failure("upstream_timeout", undefined, { reason: "the answer took too long" });
  }
  if (cancel.isCancelled) return new Failure("client_left");
  return new Failure("upstream_broke_off", undefined, { reason: "the answer broke off" });
}

async function whole(app: Delivering, answer: Incoming, delivery: Delivery) {
  const room = new AnswerRoom(delivery.watching.caller);
  try {
    return await wholeIn(room, app, { answer, delivery });
  } finally {
    room.leave();
  }
}

type Answered = { readonly answer: Incoming; readonly delivery: Delivery };

async function wholeIn(room: AnswerRoom, app: Delivering, { answer, delivery }: Answered) {
  const { cancel, deadline, watching } = delivery;
  deadline.set(app.config.upstreamLimits.totalMs, () => cancel.expire());
  const isList = watching.screen !== undefined;
  const limits = {
    mostBytes: isList ? mostListBytes : mostWholeBytes,
    tooLarge: listTooBig,
    grow: (bytes: number) => (isList ? room.grow(bytes) : undefined),
  };
  // The head is gone when the body has been read.
  const isJson = isJsonType(answer.headers.get("content-type"));
  let body: Uint8Array<ArrayBuffer>;
  try {
    body = await wholeBody(answer, limits);
  } catch (error) {
    throw brokenOff(cancel, error);
  }
  // Another encoding than UTF-8, which some readers find out by themselves.
  if (isJson && body.includes(0)) throw unreadable("a NUL in JSON");
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (isJson && answersAnother(bytes, delivery.reader.id, answer.status)) {
    answer.distrust?.();
    throw anothers();
  }
  return await watched(body, watching, isJson);
}

/** A small answer as its reader may see it. Failures: `upstream_invalid` for a list of tools where none belongs. */
async function watched(
  body: Uint8Array<ArrayBuffer>,
  { screen, ended }: Watching,
  isJson: boolean,
): Promise<Uint8Array<ArrayBuffer> | string> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  // Read as a client reads it: without a byte order mark.
  const text = ended !== undefined || mayHoldToolList(bytes) ? decoder.decode(body) : "";
  ended?.(text, body.length);
  const found = listIn(text);
  // A page that tells of a mistake passes as it is: no client reads it as a message.
  if (found === "none" || (found === "unclear" && !isJson)) return body;
  return (await screened(text, found, screen)) ?? body;
}

function screened(text: string, found: "list" | "unclear", screen: Watching["screen"]) {
  if (screen !== undefined && found === "list") return screen(text);
  throw found === "unclear" ? unclearList() : strayList();
}

/** What could be a message for some client. */
function isJsonType(type: string | null | undefined): boolean {
  return type === null || type === undefined || /json/i.test(type);
}

/**
 * A big JSON answer, passed on as it comes and cut at the limit. Resolves with the first of it that passes: what is
 * refused before has an answer of its own.
 */
function flowing(
  app: Delivering,
  answer: Incoming,
  { cancel, watching, passed }: Delivery,
): Promise<ReadableStream<Uint8Array>> {
  const deadline = app.deadlines.open();
  const leave = passed.stay();
  const begun = Promise.withResolvers<ReadableStream<Uint8Array>>();
  const isOver = () => {
    deadline.close();
    leave();
  };
  deadline.set(app.config.upstreamLimits.totalMs, () => cancel.expire());
  let flow: Flow | undefined;
  let watch: AnswerWatch | undefined;
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
        watch = new AnswerWatch(sink, watching, false);
        flow = watch.flow = answer.flow(watch);
      },
      pull: () => flow?.resume(),
      cancel() {
        isOver();
        watch?.stop();
        flow?.cancel();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: mostWholeBytes }),
  );
  return begun.promise;
}
