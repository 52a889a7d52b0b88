import type { InstallPostgres } from "#db/embedded.ts";
import type { Secret, TagOf } from "#src/crypto/secret.ts";
import type { Settled } from "#src/http/body.ts";
import type { Exchange } from "#src/http/exchange.ts";

/** `peer` asks for the address at the other end of the connection; it is only asked when it is needed. */
export type Handle = (request: Request, peer: () => string) => Response | Promise<Response>;

/** Answers that are known to be no streams: to find it out by their headers costs each call more than to say so. */
export const wholeAnswers = new WeakSet<Response>();

export type ServeOptions = {
  readonly hostname: string;
  readonly port: number;
  /** Bodies above this are refused before the handler runs (Bun) or by the handler (Deno). */
  readonly maxBodyBytes: number;
  /** How long the head of a request may take to arrive; 30 unless said. Deno has a limit of its own. */
  readonly headSeconds?: number;
  readonly handle: Handle;
  /** HTTPS; without it HTTP. */
  readonly tls?: Tls;
};

/** A certificate chain and its key (PEM), and the lowest version. */
export type Tls = {
  readonly certificate: string;
  readonly key: Secret;
  readonly least: "1.2" | "1.3";
};

export type RunningServer = {
  readonly port: number;
  /** From now on requests are answered by this. */
  answerWith(handle: Handle): void;
  /** Shows new connections another certificate; what is open goes on. False where the runtime cannot. */
  renew(tls: Tls): boolean;
  /**
   * Takes no new connections, lets what runs finish for at most `drainMs`, then cuts it. `lastWords` is
   * called before that, and what it makes streams say still goes out.
   */
  stop(drainMs: number, lastWords?: () => void): Promise<void>;
};

/** How long the last words of a stream may take to go out. */
export const lastWordsMs = 200;

/** Of 53 bits at least, keyed; the same for the same bytes in this process, and worth nothing outside of it. */
export type Digest = number | string;
/** @param of What it is a digest of beside `data`, as the digest of that. */
export type DigestOf = (data: string | Uint8Array, of?: Digest) => Digest;

/** What differs between Bun and Deno; nothing outside this folder names either. */
export type Runtime = {
  readonly name: "bun" | "deno";
  serve(options: ServeOptions): RunningServer;
  /** How upstreams are spoken to. */
  readonly exchange: Exchange;
  /** Fast, and with a secret of its own for each process. */
  readonly digest: DigestOf;
  /** The same as `tagOf`, in the way that costs this runtime least. */
  readonly tag: TagOf;
  readonly settled: Settled;
  /** With these, fetch sends a request once: a refresh token must never be sent again behind our back. */
  readonly onceOnly: object;
  /** Undefined where no PostgreSQL can be bundled: `DATABASE_URL` is then required. */
  readonly installPostgres: InstallPostgres | undefined;
  /** Restarts the process in place, once, so that `fetch` may hold thousands of streams and the heap stays small. */
  restartForService(): void;
  /** How this program is executed, before its own words; undefined where it cannot be known. */
  readonly ownCommand: readonly string[] | undefined;
};

// The build replaces these names by texts; run from source they do not exist.
declare const SMARTDASH_VERSION: string;
declare const SMARTDASH_REVISION: string;

/** What this binary is. */
export const version = {
  number: typeof SMARTDASH_VERSION === "string" ? SMARTDASH_VERSION : "0.0.0-source",
  revision: typeof SMARTDASH_REVISION === "string" ? SMARTDASH_REVISION : "source",
} as const;
