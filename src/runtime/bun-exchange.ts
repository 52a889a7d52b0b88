import type { Cancel } from "#src/http/cancel.ts";
import { Connection } from "#src/http/connection.ts";
import type { Exchange } from "#src/http/exchange.ts";
import { createIdleConnections } from "#src/http/idle-connections.ts";
import { type Target, encodeRequest, targetOf } from "#src/http/request-target.ts";

/**
 * HTTP/1.1 on Bun's own sockets. An idle stream costs about half of what it does through `fetch`, there is no
 * limit of 256 at once, and a request is never sent twice. Certificates and host names are verified.
 */
export const bunExchange: Exchange = ({ url, cancel, ...request }) => {
  const target = targetOf(url);
  let bytes: Uint8Array;
  try {
    bytes = encodeRequest(request, target);
  } catch (error) {
    return Promise.reject(error);
  }
  const connection = idle.take(target.origin);
  if (connection !== undefined) return connection.send(bytes, request.method, cancel);
  return connect(target, cancel).then((opened) => opened.send(bytes, request.method, cancel));
};

const idle = createIdleConnections(Date.now);

const handlers: Bun.SocketHandler<Connection> = {
  open: (socket) => {
    socket.data.attach(socket);
    if (!socket.data.origin.startsWith("https:")) socket.data.opened();
  },
  handshake: (socket, isTrusted, error) => {
    // `isTrusted` covers the chain and the host name; nothing has been sent yet.
    if (isTrusted) socket.data.opened();
    else socket.data.fail(error ?? new Error("the certificate is not trusted"));
  },
  // Bun hands out a buffer of its own for every event: it may be kept.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- never shared memory
  data: (socket, bytes) => socket.data.receive(bytes as Buffer<ArrayBuffer>),
  drain: (socket) => socket.data.drained(),
  close: (socket) => socket.data.closed(),
  end: (socket) => socket.data.closed(),
  error: (socket, error) => socket.data.fail(error),
  connectError: (socket, error) => socket.data.fail(error),
};

function connect(target: Target, cancel: Cancel): Promise<Connection> {
  const { origin, hostname, port, isTls } = target;
  return new Promise((resolve, reject) => {
    const connection = new Connection(origin, idle, { resolve, reject });
    cancel.stops({ stop: () => connection.fail(new Error("cancelled")) });
    Bun.connect({
      hostname,
      port,
      data: connection,
      socket: handlers,
      ...(isTls ? { tls: { serverName: hostname, rejectUnauthorized: true } } : {}),
    }).catch((error: unknown) =>
      connection.fail(error instanceof Error ? error : new Error("no connection")),
    );
  });
}
