import { createCache } from "#src/cache.ts";
import { type FailureCode, Failure } from "#src/failure.ts";
import { type CallContext, endingTopicsOf } from "#src/policy/plan.ts";

/** A stream that can be ended from our side. */
export type Cuttable = {
  /** A request waits for its answer; otherwise it only listens, and may go and listen elsewhere. */
  readonly isAwaited: boolean;
  /** Tells its reader why, and ends it. */
  cut(because: FailureCode): void;
};

/** The open event streams by what their bearer rests on, so that an ended grant ends them too. */
export type OpenStreams = {
  /** What ended while the upstream was still being asked ends the stream at once. `since`: when the call began. */
  join(topics: readonly string[], stream: Cuttable, since: number): void;
  leave(topics: readonly string[], stream: Cuttable): void;
  /** Why whoever rests on these may not go on; undefined when nothing of them has ended since then. Milliseconds. */
  ended(topics: readonly string[], since: number): FailureCode | undefined;
  /** Ends every stream that rests on this; says how many there were. */
  readonly cut: (subject: string) => number;
  /** The gateway stops: those that only listen end now, with `all` the others too. Says how many. */
  stop(which: "listening" | "all"): number;
  /** What they rest on, counted: zero when none is open. */
  count(): number;
  /** How many are open. */
  streams(): number;
  /** Those that rest on a subject. */
  readonly bySubject: ReadonlyMap<string, ReadonlySet<Cuttable>>;
};

/** Longer than an upstream may take to answer. */
const rememberMs = 10 * 60_000;

export function createOpenStreams(now: () => number): OpenStreams {
  const open = new Map<string, Set<Cuttable>>();
  const ended = createCache<number>({ freshMs: rememberMs, staleMs: 0, size: 10_000, now });
  const endedSince = (topics: readonly string[], since: number) => {
    const over = topics.find((subject) => (ended.fresh(subject) ?? 0) >= since);
    return over === undefined ? undefined : reasonOf(over);
  };
  const all = () => {
    const streams = new Set<Cuttable>();
    for (const some of open.values()) for (const stream of some) streams.add(stream);
    return streams;
  };
  return {
    join(topics, stream, since) {
      for (const subject of topics) {
        const streams = open.get(subject);
        if (streams === undefined) open.set(subject, new Set([stream]));
        else streams.add(stream);
      }
      const over = endedSince(topics, since);
      if (over !== undefined) stream.cut(over);
    },
    ended: endedSince,
    leave(topics, stream) {
      for (const subject of topics) {
        const streams = open.get(subject);
        streams?.delete(stream);
        if (streams?.size === 0) open.delete(subject);
      }
    },
    cut(subject) {
      ended.put(subject, now());
      const streams = [...(open.get(subject) ?? [])];
      for (const stream of streams) cutOne(stream, reasonOf(subject));
      return streams.length;
    },
    count: () => open.size,
    streams: () => all().size,
    bySubject: open,
    stop(which) {
      const meant = [...all()].filter(({ isAwaited }) => which === "all" || !isAwaited);
      for (const stream of meant) cutOne(stream, "gateway_stopping");
      return meant.length;
    },
  };
}

/** A call may have waited for seconds: what was switched off or has ended since it began is not sent. */
export function expectStill(
  { openStreams }: { readonly openStreams: Pick<OpenStreams, "ended"> },
  call: CallContext,
  since: number,
): void {
  const over = openStreams.ended(endingTopicsOf(call), since);
  if (over !== undefined) throw new Failure(over);
}

function reasonOf(subject: string): FailureCode {
  if (subject.startsWith("off:upstream:")) return "upstream_switched_off";
  return subject.startsWith("off:") ? "switched_off" : "bearer_invalid";
}

/** One that fails must not keep the others open. */
function cutOne(stream: Cuttable, because: FailureCode): void {
  try {
    stream.cut(because);
  } catch {
    // Its reader is gone already.
  }
}

/** A stream that may be told something between two events. */
export type Listener = {
  /** When it last carried a byte, in milliseconds. */
  quietSince: number;
  /** Sends a comment, if the stream is between two events and its reader keeps up. */
  beat(): void;
};

export type Heartbeat = {
  join(listener: Listener): void;
  leave(listener: Listener): void;
  /** How many streams are open. */
  count(): number;
  stop(): void;
};

/** Keeps quiet streams alive through proxies that cut silence. One timer for all of them. */
export function createHeartbeat(now: () => number, quietMs: number): Heartbeat {
  const listeners = new Set<Listener>();
  const timer = setInterval(
    () => {
      const before = now() - quietMs;
      for (const listener of listeners) if (listener.quietSince <= before) beatAlone(listener);
    },
    Math.min(1000, quietMs / 4),
  );
  return {
    join: (listener) => void listeners.add(listener),
    leave: (listener) => void listeners.delete(listener),
    count: () => listeners.size,
    stop: () => clearInterval(timer),
  };
}

/** A stream that has just ended must not keep the others from being kept alive. */
function beatAlone(listener: Listener): void {
  try {
    listener.beat();
  } catch {
    // Its reader is gone; whoever closes it lets it leave.
  }
}
