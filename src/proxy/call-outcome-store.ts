import { type SQL, sql } from "drizzle-orm";
import type { calls } from "#db/schema/calls.ts";

export const outcomes = ["done", "refused", "failed", "left"] as const;
/** How a call ended: answered, refused by a guard, gone wrong, or not waited for by its client. */
export type Outcome = (typeof outcomes)[number];

/**
 * A guard's word counts before anything else, and that the client left before what happened to the call then. A GET that is not
 * answered with a stream and a session that is not there any more to be ended (4xx) are part of the protocol.
 */
export function outcomeOf({
  guard,
  failure,
  status,
  httpMethod,
}: Pick<typeof calls.$inferSelect, "guard" | "failure" | "status" | "httpMethod">): Outcome {
  if (guard !== null && !guard.startsWith("approved")) return "refused";
  if (failure === "client_left") return "left";
  const least = httpMethod === "POST" ? 400 : 500;
  return failure !== null || status >= least ? "failed" : "done";
}

const isRefused = "coalesce(guard not like 'approved%', false)";
const isLeft = "coalesce(failure = 'client_left', false)";
const wentWrong =
  "(failure is not null or status >= case when http_method = 'POST' then 400 else 500 end)";

/** The same, of rows of `calls`. */
export const outcomeConditions: Readonly<Record<Outcome, SQL>> = {
  refused: sql.raw(isRefused),
  left: sql.raw(`(not ${isRefused} and ${isLeft})`),
  failed: sql.raw(`(not ${isRefused} and not ${isLeft} and ${wentWrong})`),
  done: sql.raw(`(not ${isRefused} and not ${wentWrong})`),
};
