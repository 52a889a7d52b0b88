import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import type { App } from "#src/app.ts";
import type { CheckRunner } from "#src/operations/check-run.ts";
import type { HealthDeps } from "#src/operations/routes.ts";

/** What the console leans on. */
export type ConsoleDeps = App &
  RefreshDeps &
  HealthDeps & {
    readonly openStreams: { count(): number };
    /** Undefined where this program cannot execute itself. */
    readonly checkRunner: CheckRunner | undefined;
  };

/** So many rows on a page. */
export const pageRows = 100;

/** The last row of a full page, behind which the next one begins; undefined when this is the last. */
export function lastOf<T>(rows: readonly T[]): T | undefined {
  return rows.length < pageRows ? undefined : rows.at(-1);
}
