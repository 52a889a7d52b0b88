import { readFileSync } from "node:fs";
import type { Client } from "#src/oauth-server/clients/client.ts";
import { addAgent, removeClient } from "#src/oauth-server/clients/operator.ts";
import { listAgents } from "#src/oauth-server/clients/store.ts";
import { untilAcknowledged } from "#src/bus.ts";
import { Secret } from "#src/crypto/secret.ts";
import { isObject } from "#src/json.ts";
import { Failure, codeOf } from "#src/failure.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
import { command, group, withApp } from "../command.ts";

const add = command({
  name: "agents add",
  description: "Add an agent of your own; prints its client id and, once, its secret",
  examples: [
    'smartdash agents add --name "Stock robot" --account mercadolibre:100200300',
    'smartdash agents add --name "Test agent" --id test-agent --secret-file secret.txt',
    'smartdash agents add --name "Own app" --redirect-uris https://app.example.com/callback --public',
  ],
  args: {
    name: { type: "string", required: true, description: "What people see" },
    id: { type: "string", description: "A client id of your own; a new one unless said" },
    "secret-file": {
      type: "string",
      description: "File with a client secret of your own (- is stdin); a new one unless said",
    },
    account: { type: "string", description: "The account it acts on by itself: provider:seller" },
    upstreams: { type: "string", description: "Upstreams it may use, separated by commas" },
    scope: { type: "string", description: "Scopes it may have, separated by spaces" },
    "redirect-uris": {
      type: "string",
      description: "Where people's answers go, separated by commas (authorization code)",
    },
    public: { type: "boolean", description: "No secret: PKCE alone" },
    jwks: { type: "string", description: "File or https address of its public keys, no secret" },
    "agent-type": { type: "string", description: "Claim agent_type of its tokens, e.g. claude" },
    "agent-version": { type: "string", description: "Claim agent_version of its tokens" },
  },
  run: async (args) => {
    const own = args["secret-file"] === undefined ? undefined : secretIn(args["secret-file"]);
    const isAddress = args.jwks?.startsWith("https://") === true;
    const { clientId, secret } = await withApp({ role: "command" }, (app) =>
      addAgent(app, {
        name: args.name,
        clientId: args.id,
        secret: own,
        redirectUris: listOf(args["redirect-uris"]),
        isPublic: args.public === true,
        jwks: isAddress || args.jwks === undefined ? undefined : keySetIn(args.jwks),
        jwksUri: isAddress ? args.jwks : undefined,
        scope: args.scope ?? "",
        agentType: args["agent-type"],
        agentVersion: args["agent-version"],
        upstreams: listOf(args.upstreams),
        account: args.account,
      }),
    );
    // Whoever brought it has it.
    const shown = own === undefined ? secret?.reveal() : undefined;
    const lines = [`client_id      ${clientId}`];
    if (shown !== undefined) lines.push(`client_secret  ${shown}`);
    return {
      json: { client_id: clientId, client_secret: shown },
      text: lines.join("\n"),
      ...(shown === undefined ? {} : { talk: "The secret is not shown again." }),
    };
  },
});

function secretIn(file: string): Secret {
  try {
    const text = readFileSync(file === "-" ? 0 : file, "utf8");
    return new Secret(text.replace(/\r?\n$/, ""));
  } catch (error) {
    throw new Failure("usage", `${file} cannot be read (${codeOf(error) ?? "unknown"})`, {
      hint: "--secret-file takes a file with the secret alone, which the user of this command can read; --secret-file - reads standard input",
    });
  }
}

const list = command({
  name: "agents list",
  description: "List the agents that you added",
  examples: ["smartdash agents list", "smartdash agents list --all --json"],
  args: {
    all: { type: "boolean", description: "Also clients that registered themselves" },
  },
  run: async ({ all }) => {
    const rows = await withApp({ role: "command" }, ({ db }) =>
      listAgents(db, { isAll: all === true }),
    );
    const agents = rows.map((row) => ({
      client_id: row.clientId,
      name: row.name,
      scope: row.scope,
      upstreams: row.upstreams,
      account: row.accountId,
      grant_types: row.grantTypes,
      created_at: row.createdAt.toISOString(),
    }));
    if (agents.length === 0) {
      return { json: { agents }, talk: "No agents. Add one: smartdash agents add --name …" };
    }
    const lines = agents.map(({ client_id: id, name, upstreams, created_at: at }) =>
      [id, at.slice(0, 10), name, ...(upstreams === null ? [] : [upstreams.join(",")])].join("  "),
    );
    return { json: { agents }, text: lines.join("\n") };
  },
});

const remove = command({
  name: "agents remove",
  description: "Remove a client, also one that registered itself, and end what it was granted",
  examples: ["smartdash agents remove --client agent_…"],
  args: { client: { type: "string", required: true, description: "Its client id" } },
  run: async ({ client }) => {
    const done = await withApp({ role: "command" }, (app) =>
      untilAcknowledged(app, () => removeClient(app, client)),
    );
    const told = acknowledgedOutcome(done);
    return {
      json: { client_id: client, removed: true, ...told.json },
      talk: [`${client} is removed, with its tokens. ${told.text}`, ...told.talk].join("\n"),
      ...told.exit,
    };
  },
});

export const agents = group({
  name: "agents",
  description: "Manage agents of the operator: OAuth clients that you add yourself",
  subCommands: { add, list, remove },
});

function listOf(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function keySetIn(path: string): NonNullable<Client["jwks"]> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isObject(value) && Array.isArray(value["keys"])) return value;
  } catch {
    // Told below.
  }
  throw new Failure(
    "usage",
    `${path} is neither a file with a JSON Web Key Set nor an https address`,
  );
}
