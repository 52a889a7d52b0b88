import { insideScheme } from "#src/upstreams/upstream.ts";
import type { Exchange, Incoming, OutgoingRequest } from "#src/http/exchange.ts";
import { incomingFrom } from "#src/http/fetch-exchange.ts";

/** What answers at `edge-hive://NAME/`. */
type Inside = (name: string, request: OutgoingRequest) => Promise<Incoming>;

/** Exchanges with the node itself and with the nodes behind it; everything else goes the usual way. */
export function exchangeInside(usual: Exchange, inside: Inside): Exchange {
  const prefix = `${insideScheme}//`;
  return (request) => {
    if (!request.url.startsWith(prefix)) return usual(request);
    const [name = ""] = request.url.slice(prefix.length).split("/");
    return inside(name, request);
  };
}

/** A server inside this process, as an upstream. */
export async function askInside(
  handler: { fetch(request: Request): Promise<Response> },
  { method, headers, body, cancel }: OutgoingRequest,
): Promise<Incoming> {
  const ending = new AbortController();
  cancel.stops({ stop: () => ending.abort() });
  const request = new Request("http://node.invalid/", {
    method,
    headers: { ...headers, host: "node.invalid" },
    signal: ending.signal,
    ...(body === undefined ? {} : { body }),
  });
  const ended = new Promise<never>((_, reject) => {
    ending.signal.addEventListener("abort", () => reject(new Error("cancelled")));
  });
  return incomingFrom(await Promise.race([handler.fetch(request), ended]));
}
