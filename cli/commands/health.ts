import { loadConfig, localGateway, refuse } from "#src/config/load.ts";
import { objectIn } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { createOutbound } from "#src/http/fetch-exchange.ts";
import { type Outcome, command } from "../command.ts";
import { environment } from "../environment.ts";

const limitMs = 5000;

const args = {
  url: { type: "string", description: "Where it listens; default http(s)://127.0.0.1:PORT" },
} as const;

export const health = command({
  name: "health",
  description: "Ask the running gateway for its health (for probes)",
  examples: ["smartdash health", "smartdash health --url http://127.0.0.1:8000"],
  args,
  run: ask,
});

/** Its name in mission document 3. */
export const status = command({
  name: "status",
  description: "Alias of smartdash health",
  examples: ["smartdash status --json"],
  args,
  run: ask,
});

const placeSettings = new Set(["PORT", "HOST"]);

async function ask({ url }: { readonly url?: string | undefined }): Promise<Outcome> {
  if (url !== undefined && !/^https?:\/\/./.test(url)) {
    throw new Failure("usage", "--url takes an http(s) address");
  }
  const { config, problems } = loadConfig(environment());
  // Where the gateway is follows from these; whatever else is wrong does not stop a probe.
  if (url === undefined) refuse(problems.filter(({ setting }) => placeSettings.has(setting)));
  const local = localGateway(config);
  const address = url ?? local.address;
  const init = url === undefined ? local.init : {};
  const answer = await createOutbound(limitMs, init)(`${address}/health`, {
    method: "GET",
    headers: {},
  }).catch(() => {
    throw new Failure("not_running", `No gateway answers at ${address}`, {
      hint: "Start it with: smartdash serve",
    });
  });
  const said = objectIn(answer.text);
  const json = said ?? { status: "fail", output: `HTTP ${answer.status}` };
  const chat = `Asked ${address}`;
  return {
    json,
    text: JSON.stringify(json),
    chat,
    ...(answer.status === 200 ? {} : { exit: 1 }),
  };
}
