import { hash } from "node:crypto";
import type { Cancel } from "#src/clock.ts";
import type { Exchange, Incoming, Pin } from "#src/http/exchange.ts";
import { Connection, createIdleConnections } from "#src/http/connection.ts";
import { ConnectionEnded } from "#src/http/reason.ts";
import { type Target, encodeRequest, targetOf } from "#src/http/request-target.ts";

/**
 * HTTP/1.1 on Bun's own sockets. An idle stream costs about half of what it does through `fetch`, there is no
 * limit of 256 at once, and a request is never sent twice. Certificates and host names are verified.
 */
export const bunExchange: Exchange = ({ url, cancel, pin, isFresh, ...request }) => {
  const target = targetOf(url);
  let bytes: Uint8Array;
  try {
    bytes = encodeRequest(request, target);
  } catch (error) {
    return Promise.reject(error);
  }
  const connection = isFresh === true ? undefined : idle.take(keyOf(target, pin));
  if (connection !== undefined) return connection.send(bytes, request.method, cancel);
  return overNew(connect(target, cancel, pin), bytes, request.method, cancel);
};

async function overNew(
  connecting: Promise<Connection>,
  ...sent: Parameters<Connection["send"]>
): Promise<Incoming> {
  return await (await connecting).send(...sent);
}

/** Only whoever pins the same may have the connection of another. */
function keyOf({ origin }: Target, pin: Pin | undefined): string {
  return pin === undefined ? origin : `${origin} ${pin.address} ${pin.certificate}`;
}

const idle = createIdleConnections(() => performance.now());

const handlers: Bun.SocketHandler<Connection> = {
  open: (socket) => {
    socket.data.attach(socket);
    if (!socket.data.origin.startsWith("https:")) socket.data.opened();
  },
  handshake: (socket, isTrusted, error) => {
    // `isTrusted` covers the chain and the host name, or nothing where a certificate is pinned; nothing has been sent yet.
    const { certificate } = socket.data.pin ?? {};
    const isPinned = certificate === undefined || certificateOf(socket) === certificate;
    if (isTrusted && isPinned) socket.data.opened();
    else socket.data.fail(error ?? new ConnectionEnded("certificate not trusted"));
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

/** SHA-256 in hex. */
function certificateOf(socket: Bun.Socket<Connection>): string | undefined {
  const { raw }: { readonly raw?: Uint8Array } = socket.getPeerCertificate() ?? {};
  return raw === undefined ? undefined : hash("sha256", raw);
}

function connect(target: Target, cancel: Cancel, pin?: Pin): Promise<Connection> {
  const { hostname, port, isTls } = target;
  const rejectUnauthorized = pin?.certificate === undefined;
  return new Promise((resolve, reject) => {
    const connection = new Connection(keyOf(target, pin), idle, { resolve, reject }, pin);
    cancel.stops({ stop: () => connection.fail(new Error("cancelled")) });
    Bun.connect({
      hostname: pin?.address ?? hostname,
      port,
      data: connection,
      socket: handlers,
      ...(isTls ? { tls: { serverName: hostname, rejectUnauthorized } } : {}),
    }).catch((error: unknown) =>
      connection.fail(error instanceof Error ? error : new ConnectionEnded("no connection")),
    );
  });
}
