import { isObject, objectIn } from "#src/json.ts";
import { at } from "#src/upstreams/mercadolibre-shop/fields.ts";
import { connect } from "./self-test/environment.ts";
import { send } from "./self-test/mcp-client.ts";
import type { Visitor } from "./self-test/visitor.ts";
import type { SelfTestDeps } from "./calls.ts";
import { type CheckResult, pass, problem, skipped } from "./result.ts";

const provider = "mercadolibre";

/** Chapter 7: what a seller's agent reads, what it changes after a person's yes, and what a no keeps it from. */
export async function shopAsks(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  if (!world.profiles.some(({ name }) => name === provider)) {
    return [skipped(7, "shop_asks", "A seller's tools: Mercado Libre is not configured")];
  }
  const isFirst = world.profiles[0]?.name === provider;
  const { visitor, bearer } = isFirst ? world.connected : await connect(world, { provider });
  const call: Call = async (name, args) => {
    const message = { id: 1, method: "tools/call", params: { name, arguments: args } };
    return await (await send(`${world.url}/mcp/mercadolibre-shop`, bearer, message)).text();
  };
  const open = await call("list_questions", {});
  const [first, second] = questionsIn(open);
  if (first === undefined || second === undefined) {
    return [problem("proxy_failed", "An agent does not find the open questions of a shop")];
  }
  const read = pass(7, "shop_reads", "An agent finds the open questions of a shop");
  const answered = await callAfter(visitor, call, { ...first, text: "Yes." }, "once");
  const refused = await callAfter(visitor, call, { ...second, text: "No." }, "no");
  const isRight = answered.includes('"applied":true') && refused.includes("approval_refused");
  return [
    read,
    isRight
      ? pass(7, "shop_asks", "An answer to a buyer waits for a yes, and a no keeps it back")
      : problem("limit_missing", "An answer to a buyer did not wait for a person's yes"),
  ];
}

type Question = { readonly question_id: string; readonly expected_question: string };

function questionsIn(answer: string): readonly Question[] {
  const rows = at(objectIn(answer), "result", "structuredContent", "rows");
  return (Array.isArray(rows) ? rows : []).flatMap((row: unknown) =>
    isObject(row)
      ? [
          {
            question_id: String(row["question_id"]),
            expected_question: String(row["untrusted_text"]),
          },
        ]
      : [],
  );
}

type Call = (name: string, args: Readonly<Record<string, unknown>>) => Promise<string>;

/** What the second call comes to, after the person has answered the question of the first. */
async function callAfter(
  visitor: Visitor,
  call: Call,
  args: Readonly<Record<string, unknown>>,
  extent: "once" | "no",
): Promise<string> {
  const waiting = await call("answer_question", args);
  const link = /https?:\/\/[^\s"\\]+\/approvals\/[0-9a-f-]{36}/.exec(waiting)?.[0];
  if (link === undefined) return waiting;
  const page = await (await visitor.get(link)).text();
  const token = /name="form_token" value="([^"]*)"/.exec(page)?.[1] ?? "";
  await (await visitor.post(link, { form_token: token, extent })).text();
  return await call("answer_question", args);
}
