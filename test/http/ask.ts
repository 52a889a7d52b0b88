import { wholeBody } from "#src/http/exchange.ts";
import { Cancel } from "#src/clock.ts";
import { bunExchange } from "#src/runtime/bun.ts";

/** Asks each URL of the command line once and prints what came of it. Runs in a process with its own trust. */
for (const url of process.argv.slice(2)) {
  const outcome = await bunExchange({
    url,
    method: "GET",
    headers: {},
    body: undefined,
    cancel: new Cancel(),
  })
    .then(async (answer) => Buffer.from(await wholeBody(answer, { mostBytes: 1000 })).toString())
    .catch(() => "refused");
  console.log(outcome);
}
