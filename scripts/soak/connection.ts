import type { Socket } from "bun";
import { type Message, takeMessage } from "../bench/framing.ts";

/** A client's connection on a bare socket: it sends what it is told to, also half a request, and leaves when it likes. */
export class Connection {
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #waiting: PromiseWithResolvers<Message> | undefined;
  #isClosed = false;

  static async open(address: URL): Promise<Connection> {
    const connection = new Connection();
    connection.#socket = await Bun.connect({
      hostname: address.hostname,
      port: Number(address.port),
      socket: {
        data: (_, bytes) => connection.#receive(bytes),
        close: () => connection.#closed(),
        error: (socket) => socket.terminate(),
      },
    });
    return connection;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The whole answer. Rejects when the connection ends before. */
  call(request: Buffer): Promise<Message> {
    this.#waiting = Promise.withResolvers();
    if (this.#isClosed) this.#closed();
    else this.write(request);
    return this.#waiting.promise;
  }

  /** A few kilobytes fit into a socket's buffer. */
  write(bytes: Buffer): void {
    const written = this.#socket?.write(bytes) ?? 0;
    if (written < bytes.length) this.#socket?.terminate();
  }

  /** Leaves politely. */
  end(): void {
    this.#socket?.end();
  }

  /** Leaves as a process does that is killed. */
  terminate(): void {
    this.#socket?.terminate();
  }

  #receive(bytes: Buffer): void {
    const buffer = Buffer.concat([this.#rest, bytes]);
    const message = takeMessage(buffer);
    this.#rest = message === undefined ? buffer : buffer.subarray(message.end);
    if (message !== undefined) this.#waiting?.resolve(message);
  }

  #closed(): void {
    this.#isClosed = true;
    this.#waiting?.reject(new Error("the connection was closed"));
  }
}
