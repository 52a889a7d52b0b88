import type { App } from "#src/app.ts";
import { untilAcknowledged } from "#src/bus.ts";
import { definitionsChanged, definitionsOf } from "#src/policy/tools/store.ts";
import { createOperatorLink } from "#src/people/operators.ts";
import { plain } from "#src/telemetry/redact.ts";
import {
  approveTools,
  codeOf,
  expectUpstream,
  heldTools,
  holdTool,
} from "#src/policy/tools/review.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
import { command, group, withApp } from "../command.ts";
import { table } from "../terminal.ts";
import { policies, policy } from "./tool-policies.ts";

const upstream = {
  type: "positional",
  required: false,
  description: "Only of this upstream",
} as const;
const by = "smartdash tools";

const list = command({
  name: "tools list",
  description: "List the tool definitions that upstreams have shown",
  examples: ["smartdash tools list", "smartdash tools list mercadolibre --json"],
  args: { upstream },
  run: async ({ upstream: name }) => {
    const rows = await withApp({ role: "command" }, (app) => {
      if (name !== undefined) expectUpstream(app, name);
      return definitionsOf(app.db, { upstream: name });
    });
    const tools = rows.map((row) => ({
      upstream: row.upstream,
      name: row.name,
      state: row.state,
      nature: row.nature,
      hash: row.hash,
      seenAt: row.seenAt,
      decidedAt: row.decidedAt,
      decidedBy: row.decidedBy,
    }));
    if (tools.length === 0) {
      return { json: { tools }, talk: "No list of tools has passed through a gateway yet." };
    }
    const lines = tools.map((each) => [
      each.state,
      each.nature,
      each.hash.slice(0, 12),
      each.seenAt.toISOString().slice(0, 16),
      `${each.upstream}/${plain(each.name)}`,
    ]);
    return {
      json: { tools },
      text: table(["state", "nature", "hash", "last shown", "tool"], lines),
    };
  },
});

const tool = { type: "positional", required: false, description: "Only this tool" } as const;

const diff = command({
  name: "tools diff",
  description: "Show what is new or has changed since the last approval",
  examples: ["smartdash tools diff", "smartdash tools diff mercadolibre list_orders"],
  args: { upstream, tool },
  run: async (args) => {
    const scope = { upstream: args.upstream, name: args.tool };
    const json = await withApp({ role: "command" }, async (app) => {
      const held = await heldTools(app, scope);
      const together = Map.groupBy(args.tool === undefined ? held : [], (each) => each.upstream);
      return {
        held: held.map((each) => Object.assign({}, each, { seen: codeOf(app, [each]) })),
        all: [...together].map(([at, each]) => ({ upstream: at, seen: codeOf(app, each) })),
      };
    });
    if (json.held.length === 0) {
      return { json, talk: "Nothing waits. What is held on purpose: smartdash tools list" };
    }
    const parts = json.held.map(({ upstream: at, name, kind, lines, seen }) =>
      [
        `${at}/${plain(name)} is ${kind}`,
        ...lines,
        `\nTo approve it: ${line(at, name, seen)}`,
      ].join("\n"),
    );
    const whole = json.all.map(
      ({ upstream: at, seen }) =>
        `All that waits at ${at}: smartdash tools approve ${at} --seen ${seen}`,
    );
    return { json, text: [...parts, ...whole].join("\n\n"), exit: 1 };
  },
});

/** The command that approves exactly this definition. */
function line(at: string, name: string, seen: string): string {
  // Upstreams name tools as they like: what cannot be written down, or be taken for an option, is decided on the page.
  if (plain(name) !== name || name.startsWith("-")) return "smartdash tools review";
  const word = /^[\w.@/-]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`;
  return `smartdash tools approve ${at} ${word} --seen ${seen}`;
}

const of = { type: "positional", required: true, description: "Name of the upstream" } as const;

const approve = command({
  name: "tools approve",
  description: "Approve held tools, on every gateway",
  examples: [
    "smartdash tools approve airtable update_record --seen 9b1a…",
    "smartdash tools approve mercadolibre --seen 3f0c…",
  ],
  args: {
    upstream: of,
    tool: { ...tool, description: "The tool; everything that waits without it" },
    seen: {
      type: "string",
      description: "Required: the code of what you looked at, which smartdash tools diff prints",
    },
  },
  run: async ({ upstream: at, tool: name, seen }) => {
    const decide = (app: App) => approveTools(app, { upstream: at, name, seen, by });
    const { names, told } = await decided(at, decide);
    const text = `Approved: ${names.map(plain).join(", ")}. ${told.text}`;
    const json = { upstream: at, approved: names, ...told.json };
    return { json, text, talk: told.talk.join("\n"), ...told.exit };
  },
});

const hold = command({
  name: "tools hold",
  description: "Hide a tool from agents and refuse its calls, until it is approved again",
  examples: [
    "smartdash tools hold airtable delete_record",
    "smartdash tools hold airtable update_record --seen 9b1a…",
  ],
  args: {
    upstream: of,
    tool: { ...tool, required: true, description: "Name of the tool" },
    seen: { type: "string", description: "Only the definition that smartdash tools diff showed" },
  },
  run: async ({ upstream: at, tool: name, seen }) => {
    const decide = (app: App) => holdTool(app, { upstream: at, name, seen, by });
    const { names, told } = await decided(at, decide);
    const text = `Held: ${names.map(plain).join(", ")}. ${told.text}`;
    const json = { upstream: at, held: names, ...told.json };
    return { json, text, talk: told.talk.join("\n"), ...told.exit };
  },
});

/** Decides about tools, and waits until every gateway knows. */
async function decided(at: string, decide: (app: App) => Promise<readonly string[]>) {
  let names: readonly string[] = [];
  const done = await withApp({ role: "command" }, (app) =>
    untilAcknowledged(app, async () => {
      names = await decide(app);
      return [definitionsChanged(at)];
    }),
  );
  return { names, told: acknowledgedOutcome(done) };
}

const review = command({
  name: "tools review",
  description: "Print a link to the page on which held tools are reviewed",
  examples: ["smartdash tools review"],
  args: {},
  run: async () => {
    const made = await withApp({ role: "command" }, (app) =>
      createOperatorLink(app, { page: "review" }),
    );
    const until = made.expiresAt.toISOString().slice(0, 16);
    const talk = `It works once, until ${until} UTC; the browser may then decide for an hour.`;
    return { json: made, text: made.url, talk };
  },
});

export const tools = group({
  name: "tools",
  description: "Review and approve tools of upstreams, and set who may use them",
  subCommands: { list, diff, review, approve, hold, policy, policies },
});
