import { policyChanged } from "#src/oauth-server/caller.ts";
import { untilAcknowledged } from "#src/bus.ts";
import { Failure } from "#src/failure.ts";
import { isKnownSubject } from "#src/policy/switch-store.ts";
import { dropPolicy, setPolicy } from "#src/policy/tools/review.ts";
import { allPolicies } from "#src/policy/tools/store.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
import { command, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const patterns = "names, globs, @read-only, @writing, @destructive; comma separated";
const subject = {
  type: "positional",
  required: true,
  description: "agent:CLIENT_ID, grant:ID or session:ID",
} as const;

export const policy = command({
  name: "tools policy",
  description:
    "Set which tools an agent, a grant or a session may use; replaces the earlier policy",
  examples: [
    "smartdash tools policy agent:agent_1f2e --allow @read-only",
    'smartdash tools policy grant:0199… --deny "delete_*" --approve @writing',
    "smartdash tools policy agent:agent_1f2e --remove",
  ],
  args: {
    subject,
    allow: { type: "string", description: `Only these (${patterns})` },
    deny: { type: "string", description: "Never these" },
    approve: { type: "string", description: "These after a person's yes" },
    remove: { type: "boolean", description: "Remove the policy: the upstream's own rules hold" },
  },
  run: async ({ subject: name, allow, deny, approve: ask, remove }) => {
    const isSet = [allow, deny, ask].some((each) => each !== undefined);
    if (isSet === (remove === true)) {
      throw new Failure("usage", "Say --allow, --deny or --approve, or --remove alone", {
        hint: "What is set replaces the whole policy; smartdash tools policies shows what holds",
      });
    }
    if (remove === true) {
      let removed = false;
      const done = await withApp({ role: "command" }, (app) =>
        untilAcknowledged(app, async () => {
          const whose = await dropPolicy(app, name);
          removed = whose !== undefined;
          return whose === undefined ? [] : [policyChanged(whose)];
        }),
      );
      if (!removed) return { json: { subject: name, removed }, text: `${name} had no policy.` };
      const told = acknowledgedOutcome(done);
      const json = { subject: name, removed, ...told.json };
      return { json, text: `Removed. ${told.text}`, talk: told.talk.join("\n"), ...told.exit };
    }
    const set = {
      allow: allow === undefined ? null : listOf("--allow", allow),
      deny: listOf("--deny", deny),
      approve: listOf("--approve", ask),
    };
    const { isKnown, done } = await withApp({ role: "command" }, async (app) => ({
      done: await untilAcknowledged(app, async () => {
        return [policyChanged(await setPolicy(app, name, set))];
      }),
      isKnown: await isKnownSubject(app.db, name),
    }));
    const told = acknowledgedOutcome(done);
    const spelling = isKnown ? "" : `Nothing called ${name} has been here: check the spelling. `;
    const text = `${spelling}${name}: allow ${allow ?? "everything"}; deny ${deny ?? "nothing"}; ask first about ${ask ?? "what is destructive"}`;
    return {
      json: { subject: name, isKnown, ...set, ...told.json },
      text: `${text}. ${told.text}`,
      talk: told.talk.join("\n"),
      ...told.exit,
    };
  },
});

export const policies = command({
  name: "tools policies",
  description: "List the tool policies of agents, grants and sessions",
  examples: ["smartdash tools policies"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, ({ db }) => allPolicies(db));
    if (rows.length === 0) return { json: { policies: rows }, talk: "No policies." };
    const lines = rows.map((row) => [
      row.subject,
      (row.allow ?? ["*"]).join(" "),
      row.deny.join(" "),
      row.approve.join(" "),
    ]);
    return { json: { policies: rows }, text: table(["of", "allow", "deny", "ask first"], lines) };
  },
});

/** Failures: `usage` where something is given, and no pattern is in it. */
function listOf(option: string, text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  const patterns = text.split(",").map((part) => part.trim());
  const named = patterns.filter((part) => part !== "");
  if (named.length > 0) return named;
  throw new Failure("usage", `${option} names no tool`, {
    hint: "For example --deny 'delete_*,@destructive'; for none, leave it out",
  });
}
