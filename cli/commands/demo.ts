import { join } from "node:path";
import { loadConfig } from "#src/config/load.ts";
import { loadRuntime } from "#src/runtime/load.ts";
import { startSandbox } from "#src/sandbox/sandbox.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import { createOperatorLink } from "#src/people/operators.ts";
import { catchStray } from "#src/telemetry/error-fields.ts";
import { command, withApp } from "../command.ts";
import { environment } from "../environment.ts";
import { ownProgram } from "../own-program.ts";
import { print } from "../terminal.ts";
import { untilStopped } from "../until-stopped.ts";

const accessSeconds = 60;

export const demo = command({
  name: "demo",
  description: "Run the whole gateway with simulated providers, on loopback; nothing to set up",
  examples: ["smartdash demo", "PORT=8080 smartdash demo"],
  args: {},
  run: async ({ json }) => {
    const stopped = untilStopped();
    const runtime = await loadRuntime();
    runtime.restartForService();
    const sandbox = startSandbox(runtime, { accessSeconds, now: Date.now });
    const given = settings(sandbox.environment);
    const program = ownProgram(runtime, given);
    try {
      await withApp({ role: "gateway", environment: given }, async (app) => {
        catchStray(app.log);
        const gateway = await startGateway(app, runtime, { ownProgram: program.execute });
        const url = gateway.publicUrl;
        const link = await createOperatorLink({ ...app, publicUrl: url }, { page: "console" });
        print(json === true ? JSON.stringify({ url, console: link.url }) : welcome(url, link.url));
        await stopped;
        await program.stop();
        await gateway.stop();
      });
    } finally {
      await sandbox.stop();
    }
  },
});

/** The demo has a home of its own, so that it never touches real accounts, and takes only PORT from outside. */
function settings(sandbox: Readonly<Record<string, string | undefined>>) {
  const given = environment();
  const home = join(loadConfig(given).config.home, "demo");
  const { PORT, LOG_LEVEL } = given;
  return {
    ...sandbox,
    SMARTDASH_MODE: "development",
    SMARTDASH_SIGNUP: "open",
    MELI_SHOP_PROFILE: "sell",
    SMARTDASH_DEFAULT_UPSTREAM: "mercadolibre-shop",
    SMARTDASH_HOME: home,
    LOG_LEVEL: LOG_LEVEL ?? "warn",
    ...(PORT === undefined ? {} : { PORT }),
    DRAIN_MS: "1000",
  };
}

function welcome(url: string, link: string): string {
  return `
  smartdash demo: a simulated Mercado Libre and Airtable, and an MCP server behind each.
  Their access tokens die every ${accessSeconds} seconds; your agent will not notice.

    1. open ${url}
    2. press "Connect Mercado Libre" and sign in as one of the simulated sellers
    3. give your MCP client the address ${url}/mcp/mercadolibre-shop: it sends you here to allow it
       (or press "Create a session" and paste the bearer where a client cannot sign in)
    4. ask it: which questions of buyers are unanswered?
    5. see what it did, as its operator: ${link}
       (the link works once, within ten minutes)

  Other MCP addresses are ${url}/mcp/mercadolibre and ${url}/mcp/airtable
  Stop with Ctrl-C. The simulated providers forget everything then: connect again after a restart.
`;
}
