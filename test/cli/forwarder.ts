import { type Socket, connect, createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";

export type Forwarder = AsyncDisposable & {
  readonly url: string;
  /** Cuts every connection, in the middle of whatever it carries, and takes no new one. */
  shut(): void;
  /** Nothing is cut and nothing gets through any more. */
  silence(): void;
  open(): void;
};

/** Makes a PostgreSQL that listens on a unix socket alone reachable at a loopback port. */
export async function forwardTcp(databaseUrl: string): Promise<Forwarder> {
  const url = new URL(databaseUrl);
  const socket = join(url.searchParams.get("host") ?? "", ".s.PGSQL.5432");
  const open = new Set<Socket>();
  let state: "open" | "shut" | "silent" = "open";
  const cut = () => open.forEach((each) => each.destroy());
  const server = createServer((from) => {
    if (state === "shut") return from.destroy();
    const to = connect(socket);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(one);
      one.on("data", (bytes) => state === "open" && other.write(bytes));
      one.once("error", () => other.destroy());
      one.once("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
    return from;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("listens on a port");
  url.searchParams.delete("host");
  url.host = `127.0.0.1:${address.port}`;
  return {
    url: url.href,
    shut: () => {
      state = "shut";
      cut();
    },
    silence: () => {
      state = "silent";
    },
    open: () => {
      // What was held back in silence is lost, as it is with a server that has gone.
      if (state === "silent") cut();
      state = "open";
    },
    async [Symbol.asyncDispose]() {
      cut();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
