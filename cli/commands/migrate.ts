import { migrateDatabase } from "#src/upkeep/migrate.ts";
import { command } from "../command.ts";
import { environment } from "../environment.ts";
import { print, tell } from "../terminal.ts";

export const migrate = command({
  name: "migrate",
  description: "Bring the database to the shape this binary needs",
  args: { json: { type: "boolean", description: "Print one JSON object" } },
  run: async ({ json }) => {
    const { applied, database } = await migrateDatabase(environment());
    if (json === true) return print(JSON.stringify({ applied, database }));
    const outcome = applied.length === 0 ? "Nothing to do" : `Applied ${applied.join(", ")}`;
    tell(`${outcome}: ${database} is up to date.`);
  },
});
