import { Cancel } from "#src/clock.ts";
import { type Exchange, type OutgoingRequest, wholeBody } from "#src/http/exchange.ts";
import { ToolProblem, unknownOutcome } from "./problem.ts";
import { isBlocked, problemOf } from "./api-problem.ts";
import { codeOf } from "#src/failure.ts";
import { LostAfterSending, isUntrusted } from "#src/http/reason.ts";
import type { Quota } from "./quota.ts";

/** One endpoint of an API. Paths and query keys are code; only values come from tools. */
export type Endpoint = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** `/items/{item_id}`: each part has a pattern in `parts`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the answer is no JSON. */
  readonly accept?: string;
  /** Endpoints that share a quota at the vendor. */
  readonly family: string;
};

export type ApiAnswer = {
  readonly status: number;
  readonly body: unknown;
  /** Where it is no JSON. */
  readonly file: Omit<Attachment, "name"> | undefined;
  /** 206: data, but not all of it. */
  readonly isPartial: boolean;
  readonly version: string | undefined;
};

type Value = string | number | boolean | undefined;

type ApiRequest = {
  readonly parts?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, Value>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses that are an answer, not a failure, such as 404 for "there is none". */
  readonly fine?: readonly number[];
  /** Of these, statuses that mean that the endpoint itself is gone. */
  readonly gone?: readonly number[];
};

export type Seller = {
  readonly id: string;
  readonly site: string;
  readonly body: Readonly<Record<string, unknown>>;
};

/** What a tool may do, with the account's credential inside. */
export type Api = {
  /** Failures: `ToolProblem`; `Unauthorized` where the credential is refused. */
  call(endpoint: Endpoint, request?: ApiRequest): Promise<ApiAnswer>;
  /** Whose account it is, asked once in ten minutes. */
  seller(): Promise<Seller>;
  /**
   * Sends what may be sent once only: its row is committed before. The same again within ten minutes is refused
   * (`duplicate`), and so is one whose outcome nobody knows (`outcome_unknown`).
   */
  once<T>(
    key: { readonly tool: string; readonly about: unknown },
    send: () => Promise<T>,
  ): Promise<T>;
  /** A file beside the answer, such as a PDF: an embedded resource, never text. */
  attach(file: Attachment): void;
  now(): Date;
};

/** `bytes` of a kind that is no text. */
export type Attachment = {
  readonly name: string;
  readonly mimeType: string;
  readonly bytes: Uint8Array;
};

/** The API refuses the account's credential: the proxy renews it, once. */
export class Unauthorized extends Error {}

const mostAnswerBytes = 2 * 1024 * 1024;
const mostTries = 3;

type Deps = {
  readonly exchange: Exchange;
  readonly quota: Quota;
  readonly now: () => Date;
  /** From 0 up to 1, for jitter. */
  readonly random: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** Which endpoints answer as if they were gone, or say that they will be. */
  readonly noteChange: (
    change: "endpoint_gone" | "endpoint_deprecated",
    endpoint: Endpoint,
    status: number,
  ) => void;
};

type ApiContext = {
  /** Without a slash at the end: `https://api.mercadolibre.com`. */
  readonly base: string;
  readonly authorization: string;
  /** Whose share of the quota it is. */
  readonly holder: string;
  /** The headers of requests that have none of their own, as they were sent before with this credential. */
  readonly usual: Map<Endpoint, OutgoingRequest["headers"]>;
  readonly patterns: Readonly<Record<string, RegExp>>;
  readonly running: Running;
};

/** What one call of an agent has under way: all of it ends with the call, and nothing new begins. */
export class Running {
  readonly #cancels = new Set<Cancel>();
  readonly #end = Promise.withResolvers<void>();
  #isOver = false;

  begin(): Cancel {
    const cancel = new Cancel();
    if (this.#isOver) cancel.cancel();
    else this.#cancels.add(cancel);
    return cancel;
  }

  ended(cancel: Cancel): void {
    this.#cancels.delete(cancel);
  }

  stop(): void {
    this.#isOver = true;
    this.#end.resolve();
    for (const cancel of this.#cancels) cancel.cancel();
  }

  /** Failures: `upstream_down` when the call has ended. */
  expectOpen(): void {
    if (this.#isOver) throw tooLate();
  }

  /** What is waited for, or the end of the call. Failures: `upstream_down` when that comes first. */
  async until<T>(waited: Promise<T>): Promise<T> {
    const end = this.#end.promise.then(() => Promise.reject(tooLate()));
    const came = await Promise.race([waited, end]);
    this.expectOpen();
    return came;
  }
}

const tooLate = () => new ToolProblem("upstream_down", "The call took too long");

/**
 * One request to an API and its answer. Headers are made from nothing, redirects are refused, only reading is tried
 * again. Failures: `ToolProblem`, `Unauthorized`.
 */
export async function callApi(
  deps: Deps,
  context: ApiContext,
  endpoint: Endpoint,
  request: ApiRequest = {},
): Promise<ApiAnswer> {
  const url = urlOf(context, endpoint, request);
  for (let attempt = 1; ; attempt += 1) {
    const turn = deps.quota.enter(endpoint.family, context.holder);
    if (turn === undefined) context.running.expectOpen();
    else await context.running.until(turn);
    const answer = await send(deps, context, { endpoint, request, url }).catch((error: unknown) =>
      lost(endpoint, error),
    );
    const isLast = endpoint.method !== "GET" || attempt >= mostTries;
    if (isLast || isFinal(answer)) return judged(deps, context, { endpoint, request, answer });
    await context.running.until(deps.sleep(200 * 2 ** attempt * (0.5 + deps.random() / 2)));
  }
}

/** Trying again would not help. */
function isFinal(answer: Received | ToolProblem): boolean {
  return !(answer instanceof ToolProblem) && answer.status !== 429 && answer.status < 500;
}

/** What is known of a request without a whole answer. Only what cannot have been sent may be sent again. */
function lost({ method }: Endpoint, error: unknown): ToolProblem {
  if (method === "GET") {
    if (error instanceof ToolProblem) return error;
    return new ToolProblem("upstream_down", "The API did not answer");
  }
  if (!isUnsent(error)) return unknownOutcome();
  return new ToolProblem("upstream_down", "The API could not be reached: nothing was sent");
}

/** Where the connection was never made; of everything else nobody knows. */
function isUnsent(error: unknown): boolean {
  if (error instanceof LostAfterSending) return error.isUnsent;
  return neverConnected.has(codeOf(error) ?? "") || isUntrusted(error);
}

const neverConnected = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

/** Failures: `invalid_argument` for a part that is not what its pattern says. */
function urlOf({ base, patterns }: ApiContext, endpoint: Endpoint, request: ApiRequest): string {
  const path = endpoint.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = request.parts?.[name] ?? "";
    if (patterns[name]?.test(value) !== true) {
      throw new ToolProblem("invalid_argument", `${name} is not written as such ids are`, {
        field: name,
      });
    }
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams(endpoint.query);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) query.set(name, String(value));
  }
  const search = query.size === 0 ? "" : `?${query}`;
  const url = `${base}${path}${search}`;
  if (fine.has(url)) return url;
  // Dot segments and the like would have been resolved away.
  if (new URL(url).href !== url) {
    throw new ToolProblem("invalid_argument", "The address cannot be built from these arguments");
  }
  if (fine.size >= mostFine) fine.clear();
  fine.add(url);
  return url;
}

/** Addresses that were looked at before. */
const fine = new Set<string>();
const mostFine = 200;

const limits = {
  mostBytes: mostAnswerBytes,
  tooLarge: () => new ToolProblem("upstream_down", "The answer of the API is too large"),
};

type Sending = { readonly endpoint: Endpoint; readonly request: ApiRequest; readonly url: string };
type Received = {
  readonly status: number;
  readonly type: string;
  readonly version: string | undefined;
  /** RFC 9745 and RFC 8594. */
  readonly isDeprecated: boolean;
  readonly bytes: Uint8Array;
};

async function send(
  deps: Deps,
  context: ApiContext,
  { endpoint, request, url }: Sending,
): Promise<Received> {
  const cancel = context.running.begin();
  try {
    const body =
      request.body === undefined
        ? undefined
        : new TextEncoder().encode(JSON.stringify(request.body));
    const outgoing: OutgoingRequest = {
      url,
      method: endpoint.method,
      headers: headersFor(context, endpoint, request),
      body,
      cancel,
    };
    const incoming = await deps.exchange(outgoing);
    const { status, headers } = incoming;
    const type = headers.get("content-type") ?? "";
    const version = headers.get("x-version") ?? undefined;
    const bytes = incoming.taken?.(mostAnswerBytes) ?? (await wholeBody(incoming, limits));
    const isDeprecated = (headers.get("deprecation") ?? headers.get("sunset")) !== undefined;
    return { status, type, version, isDeprecated, bytes };
  } finally {
    context.running.ended(cancel);
  }
}

/** The same object for the same headers: its lines are written once. */
function headersFor(
  { authorization, usual }: ApiContext,
  endpoint: Endpoint,
  { body, headers }: ApiRequest,
): OutgoingRequest["headers"] {
  const isUsual = body === undefined && headers === undefined;
  const known = isUsual ? usual.get(endpoint) : undefined;
  if (known !== undefined) return known;
  const made = {
    accept: endpoint.accept ?? "application/json",
    "accept-encoding": "identity",
    authorization,
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...endpoint.headers,
    ...headers,
  };
  if (isUsual) usual.set(endpoint, made);
  return made;
}

function judged(
  deps: Deps,
  context: ApiContext,
  sent: {
    readonly endpoint: Endpoint;
    readonly request: ApiRequest;
    readonly answer: Received | ToolProblem;
  },
): ApiAnswer {
  const { endpoint, request, answer } = sent;
  if (answer instanceof ToolProblem) throw answer;
  const { status, version } = answer;
  const body = bodyOf(answer);
  if (isGone(status, request)) deps.noteChange("endpoint_gone", endpoint, status);
  else if (answer.isDeprecated) deps.noteChange("endpoint_deprecated", endpoint, status);
  if (isFine(status, request)) {
    expectReadable(endpoint, answer, body);
    return { status, body, file: fileOf(answer), isPartial: status === 206, version };
  }
  if (status === 401 && !isBlocked(body)) throw new Unauthorized("the credential is refused");
  if (status >= 400 && status < 500) deps.quota.refused(context.holder);
  throw problemOf(endpoint.method, { status, body });
}

/** A page of a firewall with status 200, or nothing at all, is no answer: "there is none" would be a lie. */
function expectReadable({ accept, method }: Endpoint, { status, bytes }: Received, body: unknown) {
  if (accept !== undefined || status >= 400 || status === 204) return;
  if (method !== "GET") {
    if (body === undefined && bytes.length > 0) throw unknownOutcome();
    return;
  }
  if (typeof body === "object" && body !== null) return;
  throw new ToolProblem("upstream_down", "The API answered something that is no JSON object");
}

function isGone(status: number, request: ApiRequest): boolean {
  if (request.gone?.includes(status) === true) return true;
  return (status === 404 || status === 410) && !isFine(status, request);
}

function isFine(status: number, { fine = [] }: ApiRequest): boolean {
  return (status >= 200 && status < 300) || fine.includes(status);
}

/** Integers that a double does not hold stay as they were written, as text. */
function bodyOf({ bytes, type }: Received): unknown {
  if (bytes.length === 0 || !type.includes("json")) return undefined;
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
    // A look at every value costs several times as much as reading them.
    return longNumber.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
  } catch {
    return undefined;
  }
}

const longNumber = /\d{16}/;

function fileOf({ bytes, type }: Received): ApiAnswer["file"] {
  const [mimeType = ""] = type.split(";");
  return bytes.length === 0 || type.includes("json") ? undefined : { mimeType, bytes };
}

function exactly(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  const isInexact =
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isInexact ? (context?.source ?? String(value)) : value;
}
