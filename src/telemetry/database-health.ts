import { ping } from "#db/ping.ts";
import type { Database } from "#db/open.ts";
import { type FailureCode, Failure, asFailure } from "#src/failure.ts";
import { within } from "#src/once.ts";

const pingMs = 2000;

/** `pass`, or the code of what is wrong. Never rejects, answers within two seconds. */
export async function databaseHealth(db: Database): Promise<"pass" | FailureCode> {
  try {
    await within(pingMs, ping(db), () => new Failure("database_unavailable"));
    return "pass";
  } catch (error) {
    return asFailure(error).code;
  }
}
