import { createCache } from "#src/cache.ts";

/** A stream that can be ended from our side. */
export type Cuttable = { cut(): void };

/** The open event streams by what their bearer rests on, so that an ended grant ends them too. */
export type OpenStreams = {
  /** What ended while the upstream was still being asked ends the stream at once. `since`: when the call began. */
  join(subjects: readonly string[], stream: Cuttable, since: number): void;
  leave(subjects: readonly string[], stream: Cuttable): void;
  /** Ends every stream that rests on one of these. */
  readonly cut: (subjects: readonly string[]) => void;
};

/** Longer than an upstream may take to answer. */
const rememberMs = 10 * 60_000;

export function createOpenStreams(now: () => number): OpenStreams {
  const open = new Map<string, Set<Cuttable>>();
  const ended = createCache<number>({ freshMs: rememberMs, staleMs: 0, size: 10_000, now });
  return {
    join(subjects, stream, since) {
      for (const subject of subjects) {
        const streams = open.get(subject);
        if (streams === undefined) open.set(subject, new Set([stream]));
        else streams.add(stream);
      }
      if (subjects.some((subject) => (ended.fresh(subject) ?? 0) >= since)) stream.cut();
    },
    leave(subjects, stream) {
      for (const subject of subjects) {
        const streams = open.get(subject);
        streams?.delete(stream);
        if (streams?.size === 0) open.delete(subject);
      }
    },
    cut(subjects) {
      for (const subject of subjects) {
        ended.put(subject, now());
        open.get(subject)?.forEach(cutOne);
      }
    },
  };
}

/** One that fails must not keep the others open. */
function cutOne(stream: Cuttable): void {
  try {
    stream.cut();
  } catch {
    // Its reader is gone already.
  }
}
