import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { timely } from "#src/once.ts";
import { countAccounts } from "./accounts/store.ts";
import { allAlerts } from "./alerts/store.ts";
import { cleanupTask } from "./cleanup/cleanup.ts";
import { secondsSince } from "./tasks/store.ts";

/** What Prometheus asks the database for, through one process: at most once in 15 seconds each. */
export function addGauges(
  app: Pick<App, "db" | "metrics" | "now">,
  openStreams: { readonly streams: () => number },
): void {
  const { db, metrics } = app;
  const now = () => app.now().getTime();
  const known = createCache<readonly Sample[]>({ freshMs: 15_000, staleMs: 0, size: 10, now });
  const add = (name: string, help: string, read: () => Promise<readonly Sample[]>) =>
    metrics.gauge(name, help, async () => (await known.get(name, () => timely(read()))) ?? []);
  metrics.gauge("smartdash_open_streams", "Event streams that are open now", () => [
    { labels: {}, value: openStreams.streams() },
  ]);
  add("smartdash_accounts", "Accounts by provider and state", async () =>
    (await countAccounts(db)).map(({ provider, state, count }) => ({
      labels: { provider, state },
      value: count,
    })),
  );
  add("smartdash_alerts_firing", "Alerts that fire now, by kind", async () => {
    const firing = (await allAlerts(db)).filter(({ state }) => state === "firing");
    const kinds = new Set(firing.map(({ kind }) => kind));
    return [...kinds].map((kind) => ({
      labels: { kind },
      value: firing.filter((each) => each.kind === kind).length,
    }));
  });
  add("smartdash_cleanup_age_seconds", "Since smartdash cleanup ran", async () => [
    { labels: {}, value: await secondsSince(db, cleanupTask) },
  ]);
}

type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number };
