import { existsSync } from "node:fs";
import { loadRuntime } from "#src/runtime/runtime.ts";
import { isAnybodyHere } from "#src/people/store.ts";
import { startGateway } from "#src/server.ts";
import { version } from "#src/upkeep/version.ts";
import { command, withApp } from "../command.ts";
import { print } from "../terminal.ts";
import { untilStopped } from "../until-stopped.ts";

export const serve = command({
  name: "serve",
  description: "Run the gateway until SIGTERM or Ctrl-C",
  args: {},
  run: async () => {
    const stopped = untilStopped();
    const runtime = await loadRuntime();
    runtime.liftFetchLimit();
    await withApp({ role: "gateway" }, async (app) => {
      if (app.config.isProduction && existsSync(".env.local")) {
        app.log.warn("env_file_present", { file: ".env.local", note: "never read; remove it" });
      }
      const gateway = await startGateway(app, runtime);
      app.log.info("serving", {
        url: gateway.publicUrl,
        port: gateway.port,
        version: version.number,
      });
      print(`smartdash ${version.number} serves ${gateway.publicUrl}`);
      if (app.config.signUp === "invite" && !(await isAnybodyHere(app.db).catch(() => true))) {
        app.log.warn("nobody_signed_up", { note: "smartdash invite prints a link" });
      }
      const signal = await stopped;
      app.log.info("stopping", { signal });
      await gateway.stop();
    });
  },
});
