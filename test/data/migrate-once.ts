import { migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { heardLines } from "./script.ts";

/** One migrator: connects, says it is ready, and migrates when it is told to. */
const open = openDatabase(process.argv[2] ?? "", 1);
await open.sql`select 1`;
console.log("ready");
await heardLines().next();
const outcome = await migrate(open.sql);
console.log(JSON.stringify(outcome));
await open.close();
process.exit();
