import type { Connection } from "./connection.ts";

/** Connections that wait for their next exchange, by origin. They keep no process alive. */
export type IdleConnections = {
  take(origin: string): Connection | undefined;
  keep(connection: Connection): void;
  forget(connection: Connection): void;
};

/** Where a server commonly closes after five seconds of silence, we are gone after four. */
const idleMs = 4000;
const mostPerOrigin = 256;
const sweepMs = 1000;

export function createIdleConnections(now: () => number): IdleConnections {
  const idle = new Map<string, Connection[]>();
  let sweeper: ReturnType<typeof setInterval> | undefined;

  function sweep(): void {
    const before = now() - idleMs;
    for (const [origin, connections] of idle) {
      for (const connection of connections.filter(({ idleSince }) => idleSince < before)) {
        connection.fail(new Error("idle for too long"));
      }
      if (connections.length === 0) idle.delete(origin);
    }
    if (idle.size > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  return {
    take(origin) {
      const connection = idle.get(origin)?.pop();
      connection?.socket?.ref();
      return connection;
    },
    keep(connection) {
      const others = idle.get(connection.origin) ?? [];
      idle.set(connection.origin, others);
      connection.idleSince = now();
      connection.resume();
      connection.socket?.unref();
      others.push(connection);
      if (others.length > mostPerOrigin) others[0]?.fail(new Error("too many idle connections"));
      sweeper ??= setInterval(sweep, sweepMs).unref();
    },
    forget(connection) {
      const others = idle.get(connection.origin);
      const index = others?.indexOf(connection) ?? -1;
      if (index !== -1) others?.splice(index, 1);
    },
  };
}
