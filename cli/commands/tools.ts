import { allPolicies, definitionsOf, removePolicy } from "#src/guards/tools/store.ts";
import { decideTools, heldTools, readPolicySubject, setPolicy } from "#src/guards/tools/review.ts";
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
    const rows = await withApp({ role: "command" }, ({ db }) =>
      definitionsOf(db, { upstream: name }),
    );
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
      `${each.upstream}/${each.name}`,
    ]);
    return { json: { tools }, text: table(["state", "nature", "hash", "tool"], lines) };
  },
});

const diff = command({
  name: "tools diff",
  description: "Show what is new or has changed since it was last approved",
  examples: ["smartdash tools diff", "smartdash tools diff mercadolibre"],
  args: { upstream },
  run: async ({ upstream: name }) => {
    const held = await withApp({ role: "command" }, (app) => heldTools(app, name));
    if (held.length === 0) return { json: { held }, talk: "Nothing is held." };
    const parts = held.map(({ upstream: at, name: tool, kind, hash, lines }) =>
      [`${at}/${tool} is ${kind} (${hash.slice(0, 12)})`, ...lines].join("\n"),
    );
    return {
      json: { held },
      text: parts.join("\n\n"),
      talk: "Approve with: smartdash tools approve UPSTREAM [TOOL]",
      exit: 1,
    };
  },
});

const which = {
  upstream: { type: "positional", required: true, description: "Name of the upstream" },
  tool: { type: "positional", required: false, description: "Name of the tool; all without it" },
} as const;

const approve = command({
  name: "tools approve",
  description: "Let agents see and use what is held, within two seconds on every gateway",
  examples: [
    "smartdash tools approve mercadolibre",
    "smartdash tools approve airtable update_record",
  ],
  args: { ...which, hash: { type: "string", description: "Only the definition with this hash" } },
  run: async ({ upstream: name, tool, hash }) => {
    const decided = { upstream: name, name: tool, hash, state: "approved" as const, by };
    const names = await withApp({ role: "command" }, (app) => decideTools(app, decided));
    return { json: { upstream: name, approved: names }, talk: `Approved: ${names.join(", ")}` };
  },
});

const hold = command({
  name: "tools hold",
  description: "Hide a tool from agents and refuse its calls, until it is approved again",
  examples: ["smartdash tools hold airtable delete_record"],
  args: { ...which, tool: { ...which.tool, required: true } },
  run: async ({ upstream: name, tool }) => {
    const decided = { upstream: name, name: tool, state: "held" as const, by };
    const names = await withApp({ role: "command" }, (app) => decideTools(app, decided));
    return { json: { upstream: name, held: names }, talk: `Held: ${names.join(", ")}` };
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
  description: "Say which tools an agent or a permission may use; holds within five seconds",
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
    if (remove === true) {
      const removed = await withApp({ role: "command" }, ({ db }) =>
        removePolicy(db, readPolicySubject(name)),
      );
      return { json: { subject: name, removed }, talk: removed ? "Removed." : "There was none." };
    }
    const set = {
      allow: allow === undefined ? null : listOf(allow),
      deny: listOf(deny),
      approve: listOf(ask),
    };
    await withApp({ role: "command" }, (app) => setPolicy(app, name, set));
    return { json: { subject: name, ...set }, talk: `${name} has its policy.` };
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
  subCommands: { list, diff, approve, hold, policy, policies },
});

function listOf(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
