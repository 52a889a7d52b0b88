import { clientConfigurations } from "#src/pages/client-configuration.ts";
import { loadConfig, originAt, refuse } from "#src/config/load.ts";
import { buildCatalog } from "#src/upstreams/catalog.ts";
import { Failure } from "#src/failure.ts";
import { command } from "../command.ts";
import { environment } from "../environment.ts";

export const clientConfiguration = command({
  name: "client-config",
  description: "Print the configuration of an MCP client, ready to paste",
  examples: [
    "smartdash client-config cursor",
    "smartdash client-config antigravity --upstream airtable --bearer sd_ses_…",
  ],
  args: {
    client: {
      type: "positional",
      required: true,
      description: "antigravity, claude-code, cursor, vs-code, codex, gemini-cli, curl",
    },
    upstream: { type: "string", description: "Default: SMARTDASH_DEFAULT_UPSTREAM" },
    bearer: { type: "string", description: "A session's bearer; without it the client signs in" },
  },
  run: ({ client, upstream, bearer }) => {
    const { config, problems } = loadConfig(environment());
    const { catalog, problems: more } = buildCatalog(config);
    refuse([...problems, ...more]);
    const name = upstream ?? catalog.defaultUpstream;
    if (!catalog.upstreams.has(name)) {
      throw new Failure("usage", `Unknown upstream: ${name}`, {
        hint: `There are ${[...catalog.upstreams.keys()].join(", ")}`,
      });
    }
    const origin = originAt(config);
    const all = clientConfigurations({ name, url: `${origin}/mcp/${name}`, bearer });
    const found = all.find((each) => slug(each.client) === slug(client));
    if (found === undefined) {
      throw new Failure("usage", `Unknown client: ${client}`, {
        hint: `There are ${all.map((each) => slug(each.client)).join(", ")}`,
      });
    }
    const { where, text } = found;
    return Promise.resolve({
      json: { client: slug(found.client), file: where ?? null, text },
      text,
      talk: where === undefined ? "That is for a shell." : `That belongs into ${where}.`,
    });
  },
});

function slug(name: string): string {
  return name.toLowerCase().replaceAll(" ", "-");
}
