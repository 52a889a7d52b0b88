import type { Caller } from "#src/oauth-server/caller.ts";
import type { App } from "#src/app.ts";
import { Roster } from "#src/clock.ts";
import type { OpenStream, OpenStreams } from "#src/proxy/open-streams.ts";
import { type FailureCode, Failure, meaningOf } from "#src/failure.ts";
import { switchedOff } from "#src/policy/switches.ts";

type Deps = Pick<App, "now"> & {
  readonly openStreams: OpenStreams;
};

type Asked = {
  readonly caller: Caller;
  /** What ends it when it is switched off. */
  readonly topics: readonly string[];
  readonly lastEventId: string | null;
  /** Begins what has to be looked at while the stream is open; returns how to stop. */
  readonly follow: () => () => void;
};

const encoder = new TextEncoder();
const comment = encoder.encode(": keepalive\n\n");
/** A reader that keeps up has read everything before the next one is told. */
const mostUnread = 64;
const mostPerCaller = 8;
/** The longest that a timer takes. */
const longestMs = 2 ** 31 - 1;

/**
 * The stream of notifications for a caller, as server-sent events. With `lastEventId` what was missed comes
 * first; where that is not known any more, one event says that everything may have changed.
 * Failures: `busy` when the caller has too many of them.
 */
export function openNotices(app: Deps, broker: Broker, asked: Asked): Response {
  const { caller } = asked;
  const open = app.openStreams.countOf(caller.key);
  if (open >= mostPerCaller) throw new Failure("busy");
  const source = new Notices(app, broker, asked);
  const stream = new ReadableStream<Uint8Array>(source, { highWaterMark: mostUnread });
  return new Response(stream, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    },
  });
}

function eventOf({ id, data }: Kept): string {
  return `id: ${id}\nevent: message\ndata: ${data}\n\n`;
}

/** One open stream. */
class Notices implements UnderlyingDefaultSource<Uint8Array>, OpenStream {
  readonly isAwaited = false;
  place: OpenStream["place"];
  quietSince: number;
  readonly #app: Deps;
  readonly #broker: Broker;
  readonly #caller: Caller;
  readonly #topics: readonly string[];
  readonly #lastEventId: string | null;
  readonly #follow: () => () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #followed: readonly (() => void)[] = [];

  constructor(app: Deps, broker: Broker, asked: Asked) {
    this.#app = app;
    this.#broker = broker;
    this.#caller = asked.caller;
    this.#topics = [...asked.caller.topics, ...asked.topics.map(switchedOff)];
    this.#lastEventId = asked.lastEventId;
    this.#follow = asked.follow;
    this.quietSince = app.now().getTime();
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    const left = Math.min(this.#caller.expiresAt - this.quietSince, longestMs);
    const timer = setTimeout(() => this.cut("bearer_invalid"), left).unref();
    this.#followed = [
      () => clearTimeout(timer),
      this.#broker.join((one) => this.#hear(one)),
      this.#follow(),
    ];
    // In one piece: whoever has missed much has not read any of it yet.
    this.#send(this.#beginning());
    this.#app.openStreams.join(this.#topics, this, this.quietSince);
  }

  /** From where events go on, and what was missed. */
  #beginning(): string {
    const id = this.#lastEventId ?? this.#broker.last();
    const missed = this.#broker.since(id);
    if (missed === undefined) return `: open\nid: ${this.#broker.last()}\n\n${anythingChanged}`;
    const own = missed.filter(({ notice }) => notice.isFor(this.#caller)).map(eventOf);
    return `: open\nid: ${id}\n\n${own.join("")}`;
  }

  cancel(): void {
    this.#leave();
  }

  beat(): void {
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#enqueue(comment);
  }

  cut(because: FailureCode): void {
    const data = JSON.stringify({ code: because, message: meaningOf(because).doc });
    this.#send(`event: end\ndata: ${data}\n\n`);
    this.#leave();
    this.#close();
  }

  #hear(kept: Kept): void {
    if (kept.notice.isFor(this.#caller)) this.#send(eventOf(kept));
  }

  #send(text: string): void {
    // Who does not read comes back with the last id that it has seen.
    if ((this.#controller?.desiredSize ?? 1) <= 0) {
      this.#leave();
      return this.#close();
    }
    this.#enqueue(encoder.encode(text));
  }

  #enqueue(bytes: Uint8Array): void {
    this.quietSince = this.#app.now().getTime();
    try {
      this.#controller?.enqueue(bytes);
    } catch {
      this.#leave();
    }
  }

  #close(): void {
    try {
      this.#controller?.close();
    } catch {
      // It was closed already.
    }
  }

  #leave(): void {
    for (const stop of this.#followed) stop();
    this.#followed = [];
    this.place?.leave();
  }
}

const anythingChanged = ["tools", "resources", "prompts"]
  .map(
    (what) =>
      `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/${what}/list_changed"}\n\n`,
  )
  .join("");

/** A JSON-RPC notification (MCP), and whom it is for. */
type Notice = {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly isFor: (caller: Caller) => boolean;
};

type Kept = { readonly id: string; readonly data: string; readonly notice: Notice };

/** What this process has to tell, the last 256 of it: whoever comes back is told what was missed. */
export type Broker = {
  tell(notice: Notice): void;
  /** Hears everything from now on; returns how to stop. */
  join(listener: (kept: Kept) => void): () => void;
  /** What was told after this event id; undefined when that is not known here (any more). */
  since(id: string): readonly Kept[] | undefined;
  /** The id of the last one. */
  last(): string;
};

const mostKept = 256;

/** @param name Of this process: an event id of another one means nothing here. */
export function createBroker(name: string): Broker {
  const listeners = new Roster<(kept: Kept) => void>();
  const kept: Kept[] = [];
  let count = 0;
  const idOf = (number: number) => `${name}-${number}`;
  return {
    tell(notice) {
      count += 1;
      const { method, params } = notice;
      const data = JSON.stringify({ jsonrpc: "2.0", method, ...(params && { params }) });
      const one = { id: idOf(count), data, notice };
      kept.push(one);
      if (kept.length > mostKept) kept.shift();
      for (const listener of listeners.all()) listener(one);
    },
    join(listener) {
      const place = listeners.join(listener);
      return () => place.leave();
    },
    since(id) {
      const number = Number(id.startsWith(`${name}-`) ? id.slice(name.length + 1) : "x");
      const oldest = count - kept.length;
      if (!Number.isInteger(number) || number < oldest || number > count) return undefined;
      return kept.slice(number - oldest);
    },
    last: () => idOf(count),
  };
}
