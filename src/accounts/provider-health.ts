import type { App } from "#src/app.ts";
import type { FailureCode } from "#src/failure.ts";
import { createLately } from "#src/cache.ts";
import { connectable, tagOfRegistration } from "./registration.ts";
import { type ProviderLately, providersLately } from "./store.ts";

/** How a provider has been answering all replicas: its refreshes of the last day, and whether it is closed. */
export type ProviderHealth = {
  /** By provider; undefined while the database does not say. Five seconds old at most. */
  lately(): Promise<ReadonlyMap<string, ProviderState> | undefined>;
};

type ProviderState = ProviderLately & {
  /** What is wrong; `pass` when a refresh has gone well lately, `not_tried` when none was made. */
  readonly code: "pass" | "not_tried" | FailureCode;
};

type Deps = Pick<App, "db" | "now" | "bindingKey" | "catalog" | "config" | "publicUrl">;

/** Of configured providers alone: a provider that was taken away, or is registered anew, is not in trouble. */
export function createProviderHealth(app: Deps): ProviderHealth {
  const load = async () => {
    const rows = await providersLately(app.db);
    const tags = new Map(
      connectable(app).map((each) => [each.provider.name, tagOfRegistration(app, each)]),
    );
    return new Map(
      rows.flatMap((row) => {
        const tag = tags.get(row.provider);
        return tag === undefined ? [] : [[row.provider, { ...row, code: codeOf(row, tag) }]];
      }),
    );
  };
  return { lately: createLately(app, load) };
}

function codeOf(row: ProviderLately, registration: string) {
  const { refusedRegistration, isClosed, lastSuccess, lastFailure } = row;
  // With another client id or secret it is another question.
  if (refusedRegistration === registration) return "provider_refuses_application" as const;
  if (isClosed) return "provider_busy" as const;
  if (lastFailure !== null && (lastSuccess === null || lastFailure > lastSuccess)) {
    return "provider_busy" as const;
  }
  return lastSuccess === null ? ("not_tried" as const) : ("pass" as const);
}
