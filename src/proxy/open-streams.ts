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
  const groups = new Groups();
  const ended = createCache<number>({ freshMs: rememberMs, staleMs: 0, size: 10_000, now });
  const timer = setInterval(
    () => {
      const before = now() - quietMs;
      for (const stream of groups.all()) if (stream.quietSince <= before) beatAlone(stream);
    },
    Math.min(1000, quietMs / 4),
  );
  const endedSince = (topics: readonly string[], since: number) => {
    const over = topics.find((subject) => (ended.fresh(subject) ?? 0) >= since);
    return over === undefined ? undefined : reasonOf(over);
  };
  return {
    join(topics, stream, since) {
      stream.place = groups.of(topics).join(stream);
      const over = endedSince(topics, since);
      if (over !== undefined) stream.cut(over);
    },
    ended: endedSince,
    cut(subject) {
      ended.put(subject, now());
      const streams = [...groups.on(subject)].flatMap((group) => group.all());
      for (const stream of streams) cutOne(stream, reasonOf(subject));
      return streams.length;
    },
    count: () => groups.all().length,
    countOf(subject) {
      let count = 0;
      for (const { size } of groups.on(subject)) count += size;
      return count;
    },
    stop(which) {
      const meant = groups.all().filter(({ isAwaited }) => which === "all" || !isAwaited);
      for (const stream of meant) cutOne(stream, "gateway_stopping");
      return meant.length;
    },
    stopComments: () => clearInterval(timer),
  };
}

type Group = Roster<OpenStream>;

/** Each call asks how many streams its caller has, and looks at all of its groups: empty ones go when there are so many. */
const mostGroupsAtFirst = 64;
const none: ReadonlySet<Group> = new Set();

/** Streams by the list that says what they rest on: the calls of one tool by one caller share one, others bring their own. */
class Groups {
  readonly #groups = new Map<readonly string[], Group>();
  readonly #bySubject = new Map<string, Set<Group>>();
  #most = mostGroupsAtFirst;

  of(topics: readonly string[]): Group {
    const known = this.#groups.get(topics);
    if (known !== undefined) return known;
    if (this.#groups.size >= this.#most) this.#forgetEmpty();
    const group: Group = new Roster();
    this.#groups.set(topics, group);
    for (const subject of topics) {
      const others = this.#bySubject.get(subject) ?? new Set();
      this.#bySubject.set(subject, others.add(group));
    }
    return group;
  }

  on(subject: string): ReadonlySet<Group> {
    return this.#bySubject.get(subject) ?? none;
  }

  all(): readonly OpenStream[] {
    return [...this.#groups.values()].flatMap((group) => group.all());
  }

  #forgetEmpty(): void {
    for (const [topics, group] of this.#groups) {
      if (group.size > 0) continue;
      this.#groups.delete(topics);
      for (const subject of topics) this.#leave(subject, group);
    }
    this.#most = Math.max(mostGroupsAtFirst, 2 * this.#groups.size);
  }

  #leave(subject: string, group: Group): void {
    const others = this.#bySubject.get(subject);
    others?.delete(group);
    if (others?.size === 0) this.#bySubject.delete(subject);
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
