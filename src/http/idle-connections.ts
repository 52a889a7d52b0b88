import type { Connection } from "./connection.ts";

/** Connections that wait for their next exchange, by origin. They keep no process alive. */
export type IdleConnections = {
  /** One that its server has not been silent on for too long. */
  take(origin: string): Connection | undefined;
  keep(connection: Connection): void;
  forget(connection: Connection): void;
};

const mostPerOrigin = 256;
const sweepMs = 1000;

export function createIdleConnections(now: () => number): IdleConnections {
  const idle = new Map<string, Connection[]>();
  let sweeper: ReturnType<typeof setInterval> | undefined;

  const isFresh = ({ idleSince, idleMs }: Connection) => now() - idleSince < idleMs;
  const tooLong = () => new Error("idle for too long");

  function sweep(): void {
    for (const [origin, connections] of idle) {
      for (const connection of connections.filter((each) => !isFresh(each))) {
        connection.fail(tooLong());
      }
      if (connections.length === 0) idle.delete(origin);
    }
    if (idle.size > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  return {
    take(origin) {
      const connections = idle.get(origin);
      for (;;) {
        const connection = connections?.pop();
        if (connection === undefined) return undefined;
        if (isFresh(connection)) {
          connection.socket?.ref();
          return connection;
        }
        connection.fail(tooLong());
      }
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
