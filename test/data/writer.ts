import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { startBundled } from "#db/embedded.ts";
import { migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { savePerson } from "#src/people/store.ts";
import { installPostgres } from "#test/support/database.ts";

/** Inserts rows until it is killed, and prints each id once the database has acknowledged it. */
const { url } = await startBundled(process.argv[2] ?? "", installPostgres);
const { db, sql } = openDatabase(url, 1);
await migrate(sql);
writeSync(1, "READY\n");
try {
  for (;;) {
    const id = randomUUID();
    await savePerson(db, id);
    writeSync(1, `${id}\n`);
  }
} catch {
  // The server was killed first.
  process.exit(1);
}
