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
