import { createCache } from "#src/cache.ts";
import { type FailureCode, Failure } from "#src/failure.ts";
import { type CallContext, endingTopicsOf } from "#src/policy/plan.ts";
import { type Place, Roster } from "#src/clock.ts";

/** An event stream that can be ended, and told something between two events, from our side. */
export type OpenStream = {
  /** A request waits for its answer; otherwise it only listens, and may go and listen elsewhere. */
  readonly isAwaited: boolean;
  /** When it last carried a byte, in milliseconds. */
  readonly quietSince: number;
  /** Among the others, set by `join`; its owner leaves it when the stream is over. */
  place: Place | undefined;
  /** Tells its reader why, and ends it. */
  cut(because: FailureCode): void;
  /** Sends a comment, if the stream is between two events and its reader keeps up. */
  beat(): void;
};

/** The open event streams by what their bearer rests on, so that an ended grant ends them too. */
export type OpenStreams = {
  /**
   * Sets the stream's `place`. What ended while the upstream was still being asked ends it at once. `since`: when the
   * call began.
   */
  join(topics: readonly string[], stream: OpenStream, since: number): void;
  /** Why whoever rests on these may not go on; undefined when nothing of them has ended since then. Milliseconds. */
  ended(topics: readonly string[], since: number): FailureCode | undefined;
  /** Ends every stream that rests on this; says how many there were. */
  readonly cut: (subject: string) => number;
  /** The gateway stops: those that only listen end now, with `all` the others too. Says how many. */
  stop(which: "listening" | "all"): number;
  /** How many are open. */
  count(): number;
  /** How many rest on a subject. */
  countOf(subject: string): number;
  /** Quiet ones get no more comments; they stay open. */
  stopComments(): void;
};

/** Longer than an upstream may take to answer. */
const rememberMs = 10 * 60_000;

/** Proxies cut silence: one timer sends a comment into each stream that was silent for `quietMs`. */
export function createOpenStreams(now: () => number, quietMs: number): OpenStreams {
  const streams = new StreamsByTopic();
  const ended = createCache<number>({ freshMs: rememberMs, staleMs: 0, size: 10_000, now });
  const timer = setInterval(
    () => {
      const before = now() - quietMs;
      for (const stream of streams.all()) if (stream.quietSince <= before) beatAlone(stream);
      streams.forgetUnused();
    },
    Math.min(1000, quietMs / 4),
  );
  const endedSince = (topics: readonly string[], since: number) => {
    const over = topics.find((subject) => (ended.fresh(subject) ?? 0) >= since);
    return over === undefined ? undefined : reasonOf(over);
  };
  return {
    join(topics, stream, since) {
      stream.place = streams.join(topics, stream);
      const over = endedSince(topics, since);
      if (over !== undefined) stream.cut(over);
    },
    ended: endedSince,
    cut(subject) {
      ended.put(subject, now());
      const meant = streams.on(subject);
      for (const stream of meant) cutOne(stream, reasonOf(subject));
      return meant.length;
    },
    count: () => streams.count(),
    countOf: (subject) => streams.countOf(subject),
    stop(which) {
      const meant = streams.all().filter(({ isAwaited }) => which === "all" || !isAwaited);
      for (const stream of meant) cutOne(stream, "gateway_stopping");
      return meant.length;
    },
    stopComments: () => clearInterval(timer),
  };
}

/** Streams that rest on the same list of topics. */
type Group = {
  readonly list: readonly string[];
  readonly topics: readonly Topic[];
  readonly streams: Roster<OpenStream>;
  /** Its list has been used before, and will be again. */
  readonly isKept: boolean;
};
type Topic = { readonly groups: Set<Group>; streams: number };

const mostForgotten = 200;

/** A stream joins the roster of its list: the calls of one tool by one caller share a list, others bring their own. */
class StreamsByTopic {
  readonly #all = new Roster<OpenStream>();
  readonly #groups = new Map<readonly string[], Group>();
  readonly #topics = new Map<string, Topic>();
  readonly #known = new WeakSet<readonly string[]>();

  join(list: readonly string[], stream: OpenStream): Place {
    const group = this.#groups.get(list) ?? this.#begun(list);
    for (const topic of group.topics) topic.streams += 1;
    return new StreamPlace(this, group, this.#all.join(stream), group.streams.join(stream));
  }

  left(group: Group): void {
    for (const topic of group.topics) topic.streams -= 1;
    if (group.streams.size === 0 && !group.isKept) this.#forget(group);
  }

  all(): readonly OpenStream[] {
    return this.#all.all();
  }

  on(topic: string): readonly OpenStream[] {
    const groups = this.#topics.get(topic)?.groups ?? [];
    return [...groups].flatMap(({ streams }) => streams.all());
  }

  count(): number {
    return this.#all.size;
  }

  countOf(topic: string): number {
    return this.#topics.get(topic)?.streams ?? 0;
  }

  /** Lists go with the plans that they are of: so many at once, and the others the next time. */
  forgetUnused(): void {
    let left = mostForgotten;
    for (const group of this.#groups.values()) {
      if (left === 0) return;
      if (group.streams.size > 0) continue;
      this.#forget(group);
      left -= 1;
    }
  }

  #begun(list: readonly string[]): Group {
    const topics = [...new Set(list)].map((name) => {
      const topic = this.#topics.get(name) ?? { groups: new Set(), streams: 0 };
      this.#topics.set(name, topic);
      return topic;
    });
    const isKept = this.#known.has(list);
    const group: Group = { list, topics, streams: new Roster(), isKept };
    for (const { groups } of topics) groups.add(group);
    this.#groups.set(list, group);
    this.#known.add(list);
    return group;
  }

  #forget(group: Group): void {
    this.#groups.delete(group.list);
    for (const { groups } of group.topics) groups.delete(group);
    for (const name of group.list)
      if (this.#topics.get(name)?.groups.size === 0) this.#topics.delete(name);
  }
}

class StreamPlace implements Place {
  readonly #streams: StreamsByTopic;
  readonly #group: Group;
  readonly #amongAll: Place;
  readonly #inGroup: Place;
  #isOver = false;

  constructor(streams: StreamsByTopic, group: Group, amongAll: Place, inGroup: Place) {
    this.#streams = streams;
    this.#group = group;
    this.#amongAll = amongAll;
    this.#inGroup = inGroup;
  }

  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#amongAll.leave();
    this.#inGroup.leave();
    this.#streams.left(this.#group);
  }
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
function cutOne(stream: OpenStream, because: FailureCode): void {
  try {
    stream.cut(because);
  } catch {
    // Its reader is gone already.
  }
}

/** A stream that has just ended must not keep the others from being kept alive. */
function beatAlone(stream: OpenStream): void {
  try {
    stream.beat();
  } catch {
    // Its reader is gone; whoever closes it leaves its place.
  }
}
