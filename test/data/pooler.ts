import { type Socket, createConnection, createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";

/** A transaction-mode pooler at its most hostile: no two transactions of a client meet one server. */
export type Pooler = AsyncDisposable & { readonly port: number };

type Message = { readonly type: string; readonly bytes: Buffer };

const serversPerClient = 3;
/** Protocol numbers of SSLRequest and GSSENCRequest (PostgreSQL 18, section 54.7). */
const encryptionRequests = new Set([80_877_103, 80_877_104]);

/** @param socketFolder Where the server's `.s.PGSQL.5432` is. */
export async function startPooler(socketFolder: string): Promise<Pooler> {
  const target = join(socketFolder, ".s.PGSQL.5432");
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    keep(sockets, client);
    readStartup(client, (startup, rest) => {
      const backends = Array.from({ length: serversPerClient }, () => createConnection(target));
      for (const backend of backends) {
        keep(sockets, backend);
        backend.once("close", () => client.destroy());
      }
      client.once("close", () => backends.forEach((backend) => backend.destroy()));
      const take = pool(client, backends, greet(client, backends, startup));
      client.on("data", take);
      take(rest);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP port was expected");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
  socket.on("error", () => socket.destroy());
}

/** The startup message has no type byte; encryption is declined, as pgbouncer does by default. */
function readStartup(client: Socket, begin: (startup: Buffer, rest: Buffer) => void): void {
  let received = Buffer.alloc(0);
  const read = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 8 || received.length < received.readInt32BE(0)) return;
    const startup = received.subarray(0, received.readInt32BE(0));
    received = received.subarray(startup.length);
    if (encryptionRequests.has(startup.readInt32BE(4))) {
      client.write("N");
      return;
    }
    client.off("data", read);
    begin(startup, received);
  };
  client.on("data", read);
}

/** Sends the startup message to every server; the client hears what the first one answers, once all are ready. */
async function greet(client: Socket, backends: readonly Socket[], startup: Buffer): Promise<void> {
  const greetings = backends.map(
    (backend) =>
      new Promise<Buffer>((resolve) => {
        const heard: Buffer[] = [];
        const listen = messages(({ type, bytes }) => {
          heard.push(bytes);
          if (type !== "Z" && type !== "E") return;
          backend.off("data", listen);
          resolve(Buffer.concat(heard));
        });
        backend.on("data", listen);
        backend.write(startup);
      }),
  );
  const [first = ""] = await Promise.all(greetings);
  client.write(first);
}

/**
 * Hands every transaction (up to ReadyForQuery with status `I`) to the next server. After a message that
 * asks for ReadyForQuery the client's further messages wait, for they may be the next transaction.
 */
function pool(
  client: Socket,
  backends: readonly Socket[],
  greeted: Promise<void>,
): (chunk: Buffer) => void {
  const waiting: Message[] = [];
  let turn = -1;
  let owner: Socket | undefined;
  let isHeld = true;

  const pass = () => {
    while (!isHeld) {
      const next = waiting.shift();
      if (next === undefined) return;
      if (owner === undefined) {
        turn = (turn + 1) % backends.length;
        owner = backends[turn];
      }
      owner?.write(next.bytes);
      isHeld = next.type === "Q" || next.type === "S";
    }
  };
  const answer = (backend: Socket, { type, bytes }: Message) => {
    if (backend !== owner) return;
    client.write(bytes);
    if (type !== "Z") return;
    isHeld = false;
    if (isIdle(bytes)) owner = undefined;
    pass();
  };
  const begin = async () => {
    await greeted;
    for (const backend of backends) {
      const heard = messages((message) => answer(backend, message));
      backend.on("data", heard);
    }
    isHeld = false;
    pass();
  };
  void begin();
  return messages((message) => {
    waiting.push(message);
    pass();
  });
}

function isIdle(readyForQuery: Buffer): boolean {
  return readyForQuery.toString("latin1", 5, 6) === "I";
}

/** Cuts a stream into messages: type 1 | length 4, itself included | content. */
function messages(handle: (message: Message) => void): (chunk: Buffer) => void {
  let received = Buffer.alloc(0);
  return (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 5 && received.length > received.readInt32BE(1)) {
      const bytes = received.subarray(0, received.readInt32BE(1) + 1);
      received = received.subarray(bytes.length);
      handle({ type: String.fromCharCode(bytes[0] ?? 0), bytes });
    }
  };
}
