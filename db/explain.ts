import { once } from "node:events";
import { connect } from "node:net";
import { type DatabaseAddress, readAddress } from "./address.ts";
import { DatabaseProblem } from "./problem.ts";

/**
 * Why the first words to a database failed, so that each cause has words of its own: no way there, no TLS or a
 * certificate that is not trusted, a wrong user or password, a database that is not there. Other errors as they are.
 */
export async function explained(url: string, error: unknown): Promise<unknown> {
  const address = readAddress(url);
  const code = codeIn(error);
  if (code === undefined) return error;
  const certificate = /CERT|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS|SELF_SIGNED|DEPTH_ZERO/.test(code);
  if (certificate) return untrusted(code);
  if (code.startsWith("28")) return refusedUser(address, code, error);
  if (code === "3D000") {
    return new DatabaseProblem(
      "database_refused",
      `PostgreSQL at ${placeOf(address)} has no database ${address.database} (SQLSTATE 3D000)`,
      "Create it, or correct the name at the end of DATABASE_URL.",
    );
  }
  if (
    !/^(ECONN|ENOENT$|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|CONN)/.test(code)
  ) {
    return error;
  }
  if (await speaksNoTls(address)) {
    return new DatabaseProblem(
      "database_tls_failed",
      `PostgreSQL at ${placeOf(address)} speaks no TLS, and DATABASE_URL asks for it`,
      "Switch it on at the server (ssl = on), or say sslmode=disable where nobody can listen in between.",
    );
  }
  return new DatabaseProblem(
    "database_unavailable",
    `PostgreSQL cannot be reached at ${placeOf(address)} (${words[code] ?? code})`,
    "Is it running, and is DATABASE_URL its address?",
  );
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "name not found",
  EAI_AGAIN: "name not found",
  ENOENT: "there is no such socket",
  CONNECT_TIMEOUT: "no connection in time",
  CONNECTION_CLOSED: "connection closed",
};

function untrusted(code: string): DatabaseProblem {
  return new DatabaseProblem(
    "database_tls_failed",
    `The certificate of the database is not trusted (${code})`,
    "sslrootcert=FILE names its authority (most hosts publish a file), and the host name has to be the certificate's. sslmode=require encrypts without looking.",
  );
}

function refusedUser(address: DatabaseAddress, code: string, error: unknown): DatabaseProblem {
  const wantsTls = /no encryption|SSL off/.test(error instanceof Error ? textOf(error) : "");
  return new DatabaseProblem(
    "database_refused",
    `PostgreSQL at ${placeOf(address)} refuses the user or password (SQLSTATE ${code})`,
    wantsTls
      ? "It lets nobody in without TLS: add sslmode=require to DATABASE_URL."
      : "Correct user and password in DATABASE_URL; special characters in them are percent-encoded.",
  );
}

function textOf(error: Error): string {
  return error.cause instanceof Error ? textOf(error.cause) : error.message;
}

function codeIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeIn(error.cause);
}

function placeOf({ hosts, socketFolder }: DatabaseAddress): string {
  return socketFolder ?? hosts.map(({ host, port }) => `${host}:${port}`).join(", ");
}

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const probeMs = 3000;

/** Asks the first host itself: its client does not tell a refused TLS from a lost connection. */
async function speaksNoTls({ tls, hosts }: DatabaseAddress): Promise<boolean> {
  const [first] = hosts;
  if (first === undefined || ["disable", "allow", "prefer"].includes(tls.mode)) return false;
  const socket = connect({ ...first, timeout: probeMs });
  socket.once("timeout", () => socket.destroy(new Error("no answer")));
  try {
    await once(socket, "connect");
    socket.write(sslRequest);
    const [answer]: unknown[] = await once(socket, "data");
    return Buffer.isBuffer(answer) && answer.toString("latin1", 0, 1) === "N";
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
