import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import {
  answerQuestion,
  argumentsOf,
  readExtent,
  takeBack,
} from "#src/policy/approvals/approval.ts";
import {
  type Approval,
  type Extent,
  pendingApprovals,
  standingApprovals,
} from "#src/policy/approvals/store.ts";
import { command, group, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const id = { type: "positional", required: true, description: "Id of the question" } as const;
const by = "operator";

const list = command({
  name: "approvals list",
  description: "List pending calls, and tools that were allowed for longer",
  examples: ["smartdash approvals list", "smartdash approvals list --arguments"],
  args: { arguments: { type: "boolean", description: "With the arguments of the calls" } },
  run: async (args) => {
    const rows = await withApp({ role: "command" }, async (app) => {
      const pending = (await pendingApprovals(app.db)).map((row) =>
        shown(app, row, args.arguments),
      );
      const standing = (await standingApprovals(app.db)).map((row) => shown(app, row, false));
      return { pending, standing };
    });
    const all = [...rows.pending, ...rows.standing];
    if (all.length === 0) return { json: rows, talk: "No pending approvals." };
    const lines = all.map((row) => [
      row.id,
      row.extent ?? "waits",
      `${row.agent}: ${row.upstream}/${row.tool} ${row.arguments ?? ""}`.trim(),
    ]);
    return { json: rows, text: table(["id", "state", "agent and call"], lines) };
  },
});

function shown(app: Pick<App, "seal">, row: Approval, withArguments: boolean | undefined) {
  const { extent, agent, upstream, tool, createdAt, expiresAt, caller } = row;
  const given = withArguments === true ? argumentsOf(app, row) : undefined;
  return {
    id: row.id,
    caller,
    agent,
    upstream,
    tool,
    extent,
    createdAt,
    expiresAt,
    arguments: given,
  };
}

const allow = command({
  name: "approvals allow",
  description: "Allow a pending call once, or its tool for longer",
  examples: ["smartdash approvals allow 0199…", "smartdash approvals allow 0199… --for hour"],
  args: { id, for: { type: "string", default: "once", description: "once, hour or always" } },
  run: async (args) => {
    const extent = readExtent(args.for);
    if (extent === undefined) throw new Failure("usage", "--for is once, hour or always");
    return await answer(args.id, extent);
  },
});

const refuse = command({
  name: "approvals refuse",
  description: "Refuse a pending call",
  examples: ["smartdash approvals refuse 0199…"],
  args: { id },
  run: (args) => answer(args.id, undefined),
});

async function answer(given: string, extent: Extent | undefined) {
  const question = readId(given);
  const isOpen =
    question !== undefined &&
    (await withApp({ role: "command" }, (app) =>
      answerQuestion(app, { id: question, extent, by }),
    ));
  if (!isOpen) throw nothing(given, "waits for an answer");
  const json = { id: question, allowed: extent ?? false };
  return { json, text: extent === undefined ? "Refused." : `Allowed: ${extent}.` };
}

const end = command({
  name: "approvals withdraw",
  description: "Withdraw what was allowed for longer",
  examples: ["smartdash approvals withdraw 0199…"],
  args: { id },
  run: async (args) => {
    const found = readId(args.id);
    const isOver =
      found !== undefined &&
      (await withApp({ role: "command" }, (app) => takeBack(app, { id: found }, by)));
    if (!isOver) throw nothing(args.id, "is allowed");
    return { json: { id: found, withdrawn: true }, text: "Taken back." };
  },
});

function nothing(given: string, what: string): Failure {
  return new Failure("usage", `Nothing of the id ${given} ${what}`, {
    hint: "smartdash approvals list says what there is; a question is open for ten minutes",
  });
}

export const approvals = group({
  name: "approvals",
  description: "List and decide the calls that need a person's approval",
  subCommands: { list, allow, refuse, withdraw: end },
});
