import { type Socket, connect, createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";

export type Forwarder = AsyncDisposable & { readonly url: string };

/** Makes a PostgreSQL that listens on a unix socket alone reachable at a loopback port. */
export async function forwardTcp(databaseUrl: string): Promise<Forwarder> {
  const url = new URL(databaseUrl);
  const socket = join(url.searchParams.get("host") ?? "", ".s.PGSQL.5432");
  const open = new Set<Socket>();
  const server = createServer((from) => {
    const to = connect(socket);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.once("error", () => other.destroy());
      one.once("close", () => open.delete(one));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("listens on a port");
  url.searchParams.delete("host");
  url.host = `127.0.0.1:${address.port}`;
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      for (const each of open) each.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
