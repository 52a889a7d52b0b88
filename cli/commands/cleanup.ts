import {
  type Removed,
  cleanup as cleanUp,
  countLeftovers,
} from "#src/operations/cleanup/cleanup.ts";
import { pinging } from "#src/operations/cleanup/monitor.ts";
import { Failure } from "#src/failure.ts";
import { command, withApp } from "../command.ts";
import { patiently, table, tell } from "../terminal.ts";

export const cleanup = command({
  name: "cleanup",
  description: "Delete expired data; for cron, once a week or more often",
  examples: [
    "smartdash cleanup",
    "smartdash cleanup --dry-run",
    "smartdash cleanup --ping https://hc-ping.com/your-uuid",
  ],
  args: {
    "dry-run": { type: "boolean", description: "Only count what would go" },
    ping: {
      type: "string",
      description: "Address that is told of the start, the end and a failure (healthchecks.io)",
    },
  },
  run: async ({ "dry-run": dryRun, ping }) => {
    if (ping !== undefined && !/^(https:\/\/|http:\/\/(127\.0\.0\.1|localhost)[:/])/.test(ping)) {
      throw new Failure("usage", "--ping takes an https address (http is for loopback only)");
    }
    if (dryRun === true) {
      const counted = await withApp({ role: "command" }, countLeftovers);
      return { json: { dryRun: true, wouldRemove: counted }, text: tableOf(counted) };
    }
    let at = "";
    const removed = await patiently(
      () => `Cleaning up${at}`,
      pinging(ping, {
        work: () =>
          withApp({ role: "command" }, (app) =>
            cleanUp(app, (name, count) => {
              at = `: ${name} ${count}`;
            }),
          ),
        warn: tell,
      }),
    );
    const total = Object.values(removed).reduce((sum, count) => sum + count, 0);
    return { json: { dryRun: false, removed }, chat: `Removed ${total} rows.` };
  },
});

function tableOf(counted: Removed): string {
  const rows = Object.entries(counted).map(([name, count]) => [name, String(count)]);
  return table(["what", "rows"], rows);
}
