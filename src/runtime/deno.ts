import { createHmac, randomBytes } from "node:crypto";
import { tagOf } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { fetchExchange } from "#src/http/fetch-exchange.ts";
import { type Runtime, type ServeOptions, type RunningServer, lastWordsMs } from "./runtime.ts";

type DenoServer = {
  readonly addr: { readonly port: number };
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
};
type DenoServe = (
  options: {
    hostname: string;
    port: number;
    signal: AbortSignal;
    onListen: () => void;
    cert?: string;
    key?: string;
  },
  handle: (
    request: Request,
    info: { readonly remoteAddr: { readonly hostname?: string } },
  ) => Response | Promise<Response>,
) => DenoServer;

// The project is typed for Bun; this is what it asks of Deno.
declare const Deno: {
  readonly serve: DenoServe;
  createHttpClient(options: { poolMaxIdlePerHost: number }): object;
};

const digestKey = randomBytes(32);

export const denoRuntime: Runtime = {
  name: "deno",
  serve,
  exchange: fetchExchange,
  digest: (data, of = "") =>
    createHmac("sha256", digestKey).update(`${of} `).update(data).digest("base64").slice(0, 11),
  tag: tagOf,
  settled: (promise) => promise,
  // On a connection that was kept, Deno repeats a POST when the other side has closed it.
  onceOnly:
    "Deno" in globalThis ? { client: Deno.createHttpClient({ poolMaxIdlePerHost: 0 }) } : {},
  installPostgres: undefined,
  restartForService: () => undefined,
  ownCommand: undefined,
};

function serve(options: ServeOptions): RunningServer {
  if (options.tls?.least === "1.3") {
    throw new Failure("settings_invalid", "TLS_MIN_VERSION 1.3 cannot be kept on Deno", {
      hint: "Set it to 1.2, or run on Bun.",
    });
  }
  const cut = new AbortController();
  let { handle } = options;
  const server = Deno.serve(
    {
      hostname: options.hostname,
      port: options.port,
      signal: cut.signal,
      onListen: () => undefined,
      ...(options.tls && { cert: options.tls.certificate, key: options.tls.key.reveal() }),
    },
    (request, info) => handle(request, () => info.remoteAddr.hostname ?? ""),
  );
  return {
    port: server.addr.port,
    answerWith(next) {
      handle = next;
    },
    renew: () => false,
    stop: async (drainMs, lastWords) => {
      const timer = setTimeout(() => {
        lastWords?.();
        setTimeout(() => cut.abort(), lastWordsMs);
      }, drainMs);
      await Promise.race([server.shutdown(), server.finished]);
      clearTimeout(timer);
    },
  };
}
