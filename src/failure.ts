import { DatabaseProblem } from "#db/problem.ts";
import {
  commandFailures,
  edgeFailures,
  guardFailures,
  oauthErrors,
  pageFailures,
} from "./failure/failures.ts";

type Meaning = {
  /** HTTP status when it answers a request. */
  readonly http: number;
  /** JSON-RPC error code when it answers an MCP message; -32603 (internal error) where MCP names none. */
  readonly rpc?: number;
  /** Exit code when it ends a command: 1 found something, 2 usage or settings, 70 our fault, 75 try again. */
  readonly exit?: number;
  readonly doc: string;
};

/** Everything that can go wrong on purpose. A test keeps docs/errors.md equal to this table. */
export const failures = {
  ...commandFailures,
  internal: {
    http: 500,
    exit: 70,
    doc: "Internal error. The log line with the same request id has the details.",
  },
  not_found: { http: 404, exit: 1, doc: "Nothing has this name or address." },
  method_not_allowed: { http: 405, doc: "The address exists, but not for this HTTP method." },
  host_refused: {
    http: 403,
    doc: "The Host header names neither PUBLIC_URL nor one of ALLOWED_HOSTS (protection against DNS rebinding).",
  },
  origin_refused: { http: 403, doc: "The Origin header names another site." },
  form_refused: {
    http: 403,
    doc: "The form did not come from a page of this gateway, or the page was too old. Load it again.",
  },
  body_too_large: { http: 413, rpc: -32600, doc: "The request body is above 4 MiB." },
  body_unreadable: { http: 400, rpc: -32700, doc: "The request body is not JSON." },
  message_invalid: {
    http: 400,
    rpc: -32600,
    doc: "The request body is JSON, but not a JSON-RPC 2.0 message.",
  },
  header_mismatch: {
    http: 400,
    rpc: -32020,
    doc: "MCP-Protocol-Version, Mcp-Method or Mcp-Name is missing or differs from the body (MCP 2026-07-28).",
  },
  bearer_missing: {
    http: 401,
    doc: "The request carries no `Authorization: Bearer`. Sign in from your MCP client, or create a session on the gateway's page and send it.",
  },
  bearer_invalid: {
    http: 401,
    doc: "The bearer is unknown, expired, ended, or for another MCP address. Sign in again from your MCP client, or create a new session on the gateway's page.",
  },
  account_mismatch: {
    http: 403,
    doc: "The bearer belongs to an account of another provider than this upstream needs.",
  },
  operator_agents_only: {
    http: 403,
    doc: "This MCP server is for agents of the operator alone (`smartdash agents add`, client credentials).",
  },
  mcp_session_unknown: {
    http: 404,
    doc: "This Mcp-Session-Id was not given to this caller. Initialize again.",
  },
  upstream_unknown: { http: 404, doc: "No upstream of this name is configured." },
  upstream_switched_off: {
    http: 503,
    doc: "The operator has switched this MCP server off for a while (`smartdash switch`). Try again later; nothing is lost.",
  },
  upstream_unreachable: { http: 502, doc: "The MCP server could not be reached." },
  upstream_timeout: {
    http: 504,
    doc: "The MCP server did not answer within the limit; the connection was aborted.",
  },
  upstream_redirected: {
    http: 502,
    doc: "The MCP server answered with a redirect, which is never followed with a credential. Correct the upstream's URL.",
  },
  upstream_invalid: {
    http: 502,
    doc: "The MCP server answered something that cannot be passed on safely.",
  },
  upstream_broke_off: {
    http: 502,
    doc: "The MCP server broke off before its answer was whole. Whether the call had an effect is not known; look before you repeat it.",
  },
  client_left: {
    http: 499,
    doc: "The client closed its connection before the answer came; the call was cancelled at the MCP server. Only in the log.",
  },
  gateway_stopping: {
    http: 503,
    doc: "This gateway process is being stopped. Another one, or the same after its restart, takes the next call.",
  },
  reconnect_needed: {
    http: 502,
    exit: 1,
    doc: "The provider no longer honours this account. A person has to connect it again; the answer carries the link.",
  },
  upstream_refuses_credential: {
    http: 502,
    doc: "The MCP server refuses the key that is configured for it. Check the upstream's `credential`.",
  },
  provider_busy: {
    http: 503,
    exit: 75,
    doc: "The provider asked us to wait or is out of order; the credential is kept. Try again after Retry-After.",
  },
  renewal_pending: {
    http: 503,
    exit: 75,
    doc: "Another gateway is renewing this credential, or died while it did and may still come back with the answer. Within two minutes somebody goes on. The account is kept.",
  },
  journal_unavailable: {
    http: 503,
    exit: 75,
    doc: "The journal cannot be written now (is the disk full?), so the provider was not asked to renew the credential: its answer could be lost. The account is kept.",
  },
  provider_refuses_application: {
    http: 502,
    exit: 1,
    doc: "The provider refuses this gateway as an application (wrong client id or secret, or blocked). An operator must act; accounts are kept.",
  },
  credential_unreadable: {
    http: 500,
    exit: 70,
    doc: "A stored credential does not open with the configured ENCRYPTION_KEY. Add the key that sealed it.",
  },
  busy: { http: 503, doc: "Too much of this is running at once. Try again in a moment." },
  ...guardFailures,
  ...edgeFailures,
  ...pageFailures,
  ...oauthErrors,
} as const satisfies Record<string, Meaning>;

export type FailureCode = keyof typeof failures;

export function meaningOf(code: FailureCode): Meaning {
  return failures[code];
}

/** Whether a guard has refused. */
export function isGuards(code: FailureCode): boolean {
  return Object.hasOwn(guardFailures, code) || code === "upstream_switched_off";
}

export type FailureDetails = {
  /** What to do about it. */
  readonly hint?: string;
  readonly retryAfterSeconds?: number;
  /** What it was, for the log alone; never a secret. */
  readonly reason?: string;
  /** Where a person can put it right. */
  readonly link?: string;
  /** Further headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What comes back with the answer to our own question; sealed. */
  readonly state?: string;
  /** The scopes that would be enough, separated by spaces. */
  readonly scope?: string;
  /** The call had gone out when this happened: nobody knows whether it had an effect. */
  readonly isSent?: boolean;
  /** Other words for a page than its code has. */
  readonly wording?: "identity_refused";
  /** Values for the wording of a page; never a secret. */
  readonly values?: Readonly<Record<string, string>>;
};

/** Something that went wrong on purpose: a code, words, and a way out. */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly details: FailureDetails;

  constructor(
    code: FailureCode,
    message: string = failures[code].doc,
    details: FailureDetails = {},
  ) {
    super(message);
    this.name = "Failure";
    this.code = code;
    this.details = details;
  }

  get meaning(): Meaning {
    return meaningOf(this.code);
  }
}

/** Any thrown value as a `Failure`; what was not thrown on purpose becomes `internal`, its text withheld. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof DatabaseProblem) {
    return new Failure(error.code, error.message, { hint: error.hint });
  }
  const code = codeOf(error) ?? "";
  if (away.test(code)) {
    return new Failure("database_unavailable", undefined, { retryAfterSeconds: 5 });
  }
  if (refused.test(code)) {
    return new Failure("database_refused", `PostgreSQL refuses (SQLSTATE ${code})`, {
      hint: "28… is the user or password, 3D000 the database's name, 42501 a missing right: check DATABASE_URL.",
    });
  }
  return new Failure("internal");
}

/** Codes of a database that is away or has no room (sockets, names, postgres.js, SQLSTATE classes 08, 57P and 53) rather than wrong. */
const away =
  /^(ECONN|ENOENT$|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|CONNECT|08|57P|53)/;
const refused = /^(28|3D000|42501)/;

/** The machine-readable code of an error or of what caused it; safe to log, unlike its text. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeOf(error.cause);
}
