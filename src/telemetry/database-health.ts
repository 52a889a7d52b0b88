import { ping } from "#db/ping.ts";
import type { Database } from "#db/open.ts";
import { withoutDatabaseMs } from "#src/cache.ts";
import { type FailureCode, Failure, asFailure } from "#src/failure.ts";
import { within, millisecondsOf } from "#src/clock.ts";

/** How the database is, as far as it concerns whoever sends us calls. */
type DatabaseHealth = {
  /** `degraded`: it is away, and what this process holds still serves. */
  readonly status: "pass" | "degraded" | "fail";
  /** `pass`, or the code of what is wrong. */
  readonly code: "pass" | FailureCode;
};

export type DatabaseWatch = {
  /** Somebody has had an answer. */
  answered(): void;
  /** Asks. Never rejects, answers within two seconds. */
  look(): Promise<DatabaseHealth>;
};

const pingMs = 2000;

export function createDatabaseWatch(app: {
  readonly db: Database;
  readonly now: () => Date;
}): DatabaseWatch {
  const now = millisecondsOf(app);
  let answeredAt = now();
  return {
    answered: () => {
      answeredAt = now();
    },
    async look() {
      try {
        await within(pingMs, ping(app.db), () => new Failure("database_unavailable"));
        answeredAt = now();
        return { status: "pass", code: "pass" };
      } catch (error) {
        const isHeld = now() - answeredAt < withoutDatabaseMs;
        return { status: isHeld ? "degraded" : "fail", code: asFailure(error).code };
      }
    },
  };
}
