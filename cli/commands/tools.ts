import { isKnownSubject } from "#src/guards/store.ts";
import { allPolicies, definitionsOf, removePolicy } from "#src/guards/tools/store.ts";
import { Failure } from "#src/failure.ts";
import { plain } from "#src/telemetry/plain.ts";
import {
  approveTools,
  codeOf,
  expectUpstream,
  heldTools,
  holdTool,
  readPolicySubject,
  setPolicy,
} from "#src/guards/tools/review.ts";
import { createReviewLink } from "#src/guards/tools/reviewers.ts";
import { command, group, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const upstream = {
  type: "positional",
  required: false,
  description: "Only of this upstream",
} as const;
const by = "smartdash tools";

const list = command({
  name: "tools list",
  description: "List the definitions of tools that upstreams have shown",
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
  description: "Show what is new or has changed since it was last approved",
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
  description: "Let agents see and use what is held, within two seconds on every gateway",
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
    const names = await withApp({ role: "command" }, (app) =>
      approveTools(app, { upstream: at, name, seen, by }),
    );
    const text = `Approved: ${names.map(plain).join(", ")}`;
    return { json: { upstream: at, approved: names }, text };
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
    const names = await withApp({ role: "command" }, (app) =>
      holdTool(app, { upstream: at, name, seen, by }),
    );
    return { json: { upstream: at, held: names }, text: `Held: ${names.map(plain).join(", ")}` };
  },
});

const review = command({
  name: "tools review",
  description: "Print a link to a page that shows what is held and takes the decisions",
  examples: ["smartdash tools review"],
  args: {},
  run: async () => {
    const made = await withApp({ role: "command" }, createReviewLink);
    const until = made.expiresAt.toISOString().slice(0, 16);
    const talk = `It works once, until ${until} UTC; the browser may then decide for an hour.`;
    return { json: made, text: made.url, talk };
  },
});

const patterns = "names, globs, @read-only, @writing, @destructive; comma separated";
const subject = {
  type: "positional",
  required: true,
  description: "agent:CLIENT_ID, grant:ID or session:ID",
} as const;

const policy = command({
  name: "tools policy",
  description:
    "Say which tools an agent or a permission may use, in place of what was said before; holds within five seconds",
  examples: [
    "smartdash tools policy agent:agent_1f2e --allow @read-only",
    'smartdash tools policy grant:0199… --deny "delete_*" --approve @writing',
    "smartdash tools policy agent:agent_1f2e --remove",
  ],
  args: {
    subject,
    allow: { type: "string", description: `Only these (${patterns})` },
    deny: { type: "string", description: "Not these" },
    approve: { type: "string", description: "These after a person's yes" },
    remove: { type: "boolean", description: "Everything that the upstream's own rules allow" },
  },
  run: async ({ subject: name, allow, deny, approve: ask, remove }) => {
    const isSet = [allow, deny, ask].some((each) => each !== undefined);
    if (isSet === (remove === true)) {
      throw new Failure("usage", "Say --allow, --deny or --approve, or --remove alone", {
        hint: "What is set replaces the whole policy; smartdash tools policies shows what holds",
      });
    }
    if (remove === true) {
      const removed = await withApp({ role: "command" }, ({ db }) =>
        removePolicy(db, readPolicySubject(name)),
      );
      return { json: { subject: name, removed }, text: removed ? "Removed." : "There was none." };
    }
    const set = {
      allow: allow === undefined ? null : listOf(allow),
      deny: listOf(deny),
      approve: listOf(ask),
    };
    const isKnown = await withApp({ role: "command" }, async (app) => {
      await setPolicy(app, name, set);
      return await isKnownSubject(app.db, name);
    });
    const talk = isKnown ? "" : `Nothing called ${name} has been here yet: is it spelt right?`;
    const text = `${name}: allow ${allow ?? "everything"}; deny ${deny ?? "nothing"}; ask first about ${ask ?? "what is destructive"}`;
    return { json: { subject: name, ...set }, text, talk };
  },
});

const policies = command({
  name: "tools policies",
  description: "List the policies of agents and permissions",
  examples: ["smartdash tools policies"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, ({ db }) => allPolicies(db));
    if (rows.length === 0) return { json: { policies: rows }, talk: "There is none." };
    const lines = rows.map((row) => [
      row.subject,
      (row.allow ?? ["*"]).join(" "),
      row.deny.join(" "),
      row.approve.join(" "),
    ]);
    return { json: { policies: rows }, text: table(["of", "allow", "deny", "ask first"], lines) };
  },
});

export const tools = group({
  name: "tools",
  description: "Tools of upstreams: what has changed, what is approved, who may use what",
  subCommands: { list, diff, review, approve, hold, policy, policies },
});

function listOf(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
