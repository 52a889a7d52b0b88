import { loadConfig } from "#src/config/load.ts";
import { Failure } from "#src/failure.ts";
import { createOutbound } from "#src/http/outbound.ts";
import { command } from "../command.ts";
import { environment } from "../environment.ts";
import { print } from "../terminal.ts";

const limitMs = 5000;

export const health = command({
  name: "health",
  description: "Ask the running gateway how it is (for probes)",
  args: { url: { type: "string", description: "Where it listens; default http://127.0.0.1:PORT" } },
  run: async ({ url }) => {
    const { config } = loadConfig(environment());
    const address = url ?? `http://127.0.0.1:${config.port}`;
    const answer = await createOutbound(limitMs)(`${address}/health`, {
      method: "GET",
      headers: {},
    }).catch(() => {
      throw new Failure("not_running", `No gateway answers at ${address}`, {
        hint: "Start it with: smartdash serve",
      });
    });
    print(answer.text);
    if (answer.status !== 200) process.exitCode = 1;
  },
});
