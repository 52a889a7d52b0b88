/** A stream that can be ended from our side. */
export type Cuttable = { cut(): void };

/** The open event streams by what their bearer rests on, so that an ended grant ends them too. */
export type OpenStreams = {
  join(subjects: readonly string[], stream: Cuttable): void;
  leave(subjects: readonly string[], stream: Cuttable): void;
  /** Ends every stream that rests on one of these. */
  readonly cut: (subjects: readonly string[]) => void;
};

export function createOpenStreams(): OpenStreams {
  const open = new Map<string, Set<Cuttable>>();
  return {
    join(subjects, stream) {
      for (const subject of subjects) {
        const streams = open.get(subject);
        if (streams === undefined) open.set(subject, new Set([stream]));
        else streams.add(stream);
      }
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
        for (const stream of open.get(subject) ?? []) stream.cut();
      }
    },
  };
}
