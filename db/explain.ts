import { connect, isIP } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { type DatabaseAddress, readAddress, tlsOptions } from "./address.ts";
import { DatabaseProblem } from "./problem.ts";

/**
 * The first work on a database, and why it failed: no way there, no TLS or a certificate that is not trusted, a wrong
 * user or password, a database that is not there, a right that is missing; other errors as they are. The way is tried
 * before: the client tries several hosts without end, and does not tell a refused TLS from a lost connection.
 */
export async function explaining<T>(url: string, work: () => Promise<T>): Promise<T> {
  const address = readAddress(url);
  const trouble = await troubleOnTheWay(address);
  if (trouble !== undefined) throw trouble;
  try {
    return await work();
  } catch (error) {
    throw refusal(address, error) ?? error;
  }
}

/** One place where a database may be. */
type Place = { readonly host: string; readonly port: number } | { readonly path: string };

function placesOf({ hosts, socket }: DatabaseAddress): readonly Place[] {
  return socket === undefined ? hosts : [{ path: `${socket.folder}/.s.PGSQL.${socket.port}` }];
}

function nameOf(place: Place): string {
  return "path" in place ? place.path : `${place.host}:${place.port}`;
}

const shown = (address: DatabaseAddress) => placesOf(address).map(nameOf).join(", ");

/** Undefined as soon as one place will do. Of several troubles that of a server that answers says more. */
async function troubleOnTheWay(address: DatabaseAddress): Promise<DatabaseProblem | undefined> {
  const all = placesOf(address);
  const found = await Promise.all(all.map(async (place) => await troubleAt(place, address)));
  if (found.includes(undefined)) return undefined;
  const answered = found.find((each) => each instanceof DatabaseProblem);
  if (answered instanceof DatabaseProblem) return answered;
  const reasons = all.map((place, index) => `${nameOf(place)} (${String(found[index])})`);
  return new DatabaseProblem(
    "database_unavailable",
    `PostgreSQL cannot be reached at ${reasons.join(", ")}`,
    "Is it running, and is DATABASE_URL its address?",
  );
}

const usualSeconds = 5;
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Connects and asks for TLS (PostgreSQL manual, 53.2.11), which every server answers. A text is why there is no way. */
async function troubleAt(
  place: Place,
  { tls, connectSeconds = usualSeconds }: DatabaseAddress,
): Promise<DatabaseProblem | string | undefined> {
  const attempt = new Attempt(connect(place), connectSeconds);
  try {
    await attempt.event("connect");
    attempt.socket.write(sslRequest);
    const answer = (await attempt.event("data")).toString("latin1", 0, 1);
    if (answer === "E") return undefined;
    if (answer === "N") return needsTls(tls.mode) ? noTls(place) : undefined;
    if (answer !== "S") return "what answers there is not PostgreSQL";
    if (tls.mode === "disable") return undefined;
    return await certificateTrouble(attempt, place, tls);
  } catch (error) {
    return wordsFor(error);
  } finally {
    attempt.socket.destroy();
  }
}

async function certificateTrouble(attempt: Attempt, place: Place, tls: DatabaseAddress["tls"]) {
  const options = tlsOptions(tls);
  const name = "host" in place && isIP(place.host) === 0 ? { servername: place.host } : {};
  const wish = typeof options === "object" ? options : { rejectUnauthorized: false };
  const { socket } = attempt;
  socket.removeAllListeners("data");
  const secured = connectSecurely({ socket, ...name, ...wish });
  try {
    await attempt.event("secureConnect", secured);
    return undefined;
  } catch (error) {
    const code = codeIn(error) ?? "";
    return isCertificates(code) ? untrusted(code) : wordsFor(error);
  } finally {
    secured.destroy();
  }
}

type Emitter = Pick<ReturnType<typeof connect>, "once" | "off">;

/** A socket whose events are waited for within one limit of time. */
class Attempt {
  readonly socket: ReturnType<typeof connect>;
  readonly #limit: AbortSignal;

  constructor(socket: ReturnType<typeof connect>, seconds: number) {
    this.socket = socket;
    this.#limit = AbortSignal.timeout(seconds * 1000);
    // Errors between two waits are seen by the next one as a closed socket.
    socket.on("error", () => undefined);
  }

  /** Rejects when the socket fails or closes first, or the time is over. */
  event(name: "connect" | "data" | "secureConnect", of: Emitter = this.socket): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    of.once(name, (bytes: unknown) => resolve(Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0)));
    of.once("error", reject);
    of.once("close", () => reject(new Error("closed")));
    const late = () => reject(new Error("late"));
    if (this.#limit.aborted) late();
    this.#limit.addEventListener("abort", late, { once: true });
    return promise.finally(() => this.#limit.removeEventListener("abort", late));
  }
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "name not found",
  EAI_AGAIN: "name not found",
  ENOENT: "there is no such socket",
  EACCES: "no permission for the socket",
};

function wordsFor(error: unknown): string {
  const code = codeIn(error);
  if (code !== undefined) return words[code] ?? code;
  return error instanceof Error && error.message === "late"
    ? "no answer in time"
    : "connection closed";
}

function needsTls(mode: DatabaseAddress["tls"]["mode"]): boolean {
  return !["disable", "allow", "prefer"].includes(mode);
}

function noTls(place: Place): DatabaseProblem {
  return new DatabaseProblem(
    "database_tls_failed",
    `PostgreSQL at ${nameOf(place)} speaks no TLS, and DATABASE_URL asks for it`,
    "Switch it on at the server (ssl = on), or say sslmode=disable where nobody can listen in between.",
  );
}

function isCertificates(code: string): boolean {
  return /CERT|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS|SELF_SIGNED|DEPTH_ZERO/.test(code);
}

function untrusted(code: string): DatabaseProblem {
  return new DatabaseProblem(
    "database_tls_failed",
    `The certificate of the database is not trusted (${code})`,
    "sslrootcert=FILE names its authority (most hosts publish a file), and the host name has to be the certificate's. sslmode=require encrypts without looking, where neither channel_binding=require nor sslrootcert stands beside it.",
  );
}

/** What PostgreSQL says to a session that begins, or to the first work in it. */
function refusal(address: DatabaseAddress, error: unknown): DatabaseProblem | undefined {
  const code = codeIn(error) ?? "";
  if (isCertificates(code)) return untrusted(code);
  const user = address.user ?? "of DATABASE_URL";
  const { database } = address;
  const says = ([what, hint]: readonly [string, string]) =>
    new DatabaseProblem(
      /^(53|57)/.test(code) ? "database_unavailable" : "database_refused",
      `PostgreSQL at ${shown(address)} ${what} (SQLSTATE ${code})`,
      hint,
    );
  const isOptions = address.session["options"] !== undefined && /^(42601|42704|22)/.test(code);
  if (isOptions) {
    return says(["does not take what options= says", "Correct options in DATABASE_URL."]);
  }
  const found = Object.entries(refusals(user, database)).find(([start]) => code.startsWith(start));
  if (found === undefined) return undefined;
  const wantsTls = code.startsWith("28") && /no encryption|SSL off/.test(textOf(error));
  if (!wantsTls) return says(found[1]);
  return says([found[1][0], "It lets nobody in without TLS: add sslmode=require to DATABASE_URL."]);
}

/** By the beginning of the SQLSTATE: what it is, and what to do. */
function refusals(
  user: string,
  database: string,
): Readonly<Record<string, readonly [string, string]>> {
  return {
    "28": [
      "refuses the user or password",
      "Correct user and password in DATABASE_URL. Special characters in them are percent-encoded, and a shell or an environment file takes the whole value in single quotes.",
    ],
    "3D000": [
      `has no database ${database}`,
      "Create it, or correct the name at the end of DATABASE_URL.",
    ],
    "3F000": [
      "has no such schema",
      `Create the schema in ${database}, or correct schema= in DATABASE_URL.`,
    ],
    "42501": [
      `lets the user ${user} create nothing in ${database}`,
      `ALTER DATABASE "${database}" OWNER TO "${user}"; in that database, for a schema of somebody else: GRANT CREATE, USAGE ON SCHEMA public TO "${user}".`,
    ],
    "25006": [
      "can only be read",
      "DATABASE_URL has to name a server that takes writes, and the database one without default_transaction_read_only.",
    ],
    "55000": [`takes no connections to ${database}`, "ALTER DATABASE … ALLOW_CONNECTIONS true."],
    "53": [
      "has no room left",
      "53300 are its connections: raise max_connections or the user's limit there, or lower DATABASE_CONNECTIONS here.",
    ],
    "57P03": ["is starting or stopping", "Try again in a moment."],
  };
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return error.cause instanceof Error ? textOf(error.cause) : error.message;
}

function codeIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeIn(error.cause);
}
