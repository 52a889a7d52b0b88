import { randomBytes } from "node:crypto";
import { redact } from "./redact.ts";
import { readTraceparent } from "./trace.ts";

/** Names one request in logs, answers and the audit trail. */
export type RequestIds = (request: Request) => string;

const acceptable = /^[\w.:+/=-]{4,64}$/;

/** What `X-Request-Id` says, else the trace id of `traceparent`, else one of our own: a prefix for this process and a count. */
export function createRequestIds(): RequestIds {
  const prefix = randomBytes(6).toString("base64url");
  let count = 0;
  return ({ headers }) => {
    count += 1;
    const given = headers.get("x-request-id");
    // A credential that strayed into this header must not become a name.
    if (given !== null && acceptable.test(given) && redact(given) === given) return given;
    const trace = headers.get("traceparent");
    const traceId = trace === null ? undefined : readTraceparent(trace)?.traceId;
    return traceId ?? `${prefix}-${count.toString(36)}`;
  };
}
