import { ToolProblem } from "../tools/problem.ts";
import {
  type Tool,
  answerOf,
  cut,
  objectOf,
  filtersOf,
  offsetOf,
  pageOf,
  paging,
} from "../tools/tool.ts";
import { endpoints } from "./endpoints.ts";
import { readBack } from "./changes.ts";
import { at, compact, date, digits, list, needed, number, text } from "./fields.ts";

const listClaims: Tool = {
  name: "list_claims",
  title: { es: "Reclamos", pt: "Reclamações", en: "Claims" },
  description:
    "Claims (reclamos) and disputes against the seller; open ones unless said. At most 50 a page.",
  input: objectOf({
    status: { type: "string", enum: ["opened", "closed"], default: "opened" },
    stage: { type: "string", enum: ["claim", "dispute", "recontact"] },
    order_id: digits("order"),
    ...paging,
  }),
  output: answerOf(["rows", "returned", "total", "truncated"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { id } = await api.seller();
    const filters = filtersOf("list_claims", input, ["status", "stage", "order_id"]);
    const offset = offsetOf(input, filters);
    const { body } = await api.call(endpoints.claims, {
      query: {
        "players.user_id": id,
        "players.role": "respondent",
        status: text(input["status"]),
        stage: text(input["stage"]),
        order_id: text(input["order_id"]),
        sort: "last_updated:desc",
        offset,
        limit: number(input["limit"]),
      },
    });
    const rows = needed(at(body, "data")).map((each) =>
      compact({
        claim_id: text(at(each, "id")),
        // What is called a mediation need not be one: the stage says so.
        is_dispute: at(each, "stage") === "dispute",
        stage: at(each, "stage"),
        status: at(each, "status"),
        order_id: text(at(each, "resource_id")),
        reason: at(each, "reason_id"),
        updated: date(at(each, "last_updated")),
      }),
    );
    const total = number(at(body, "paging", "total")) ?? rows.length;
    return pageOf(rows, { offset, total, filters });
  },
};

const getClaim: Tool = {
  name: "get_claim",
  title: { es: "Un reclamo", pt: "Uma reclamação", en: "One claim" },
  description:
    "Problem, deadline, what the seller may do now, messages and the state of a return. At most 20 messages.",
  input: objectOf({ claim_id: digits("claim") }, ["claim_id"]),
  output: answerOf(["claim_id", "status"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const parts = { id: text(input["claim_id"]) ?? "" };
    const [claim, detail, messages, returned, resolutions] = await Promise.all([
      api.call(endpoints.claim, { parts }),
      api.call(endpoints.claimDetail, { parts, fine: [404] }),
      api.call(endpoints.claimMessages, { parts, fine: [404] }),
      api.call(endpoints.claimReturn, { parts, fine: [404] }),
      api.call(endpoints.claimResolutions, { parts, fine: [404] }),
    ]);
    return compact({
      claim_id: parts.id,
      status: at(claim.body, "status"),
      stage: at(claim.body, "stage"),
      order_id: text(at(claim.body, "resource_id")),
      problem: cut(at(detail.body, "problem"), 500),
      due: date(at(detail.body, "due_date")),
      may_do: actionsOf(claim.body),
      messages: list(messages.body)
        .slice(-20)
        .map((each) =>
          compact({
            from: at(each, "sender_role"),
            untrusted_text: cut(at(each, "message"), 1000),
            date: date(at(each, "message_date")),
          }),
        ),
      resolutions: list(resolutions.body).map((each) =>
        compact({
          wanted: at(each, "expected_resolution"),
          by: at(each, "player_role"),
          status: at(each, "status"),
        }),
      ),
      return_status: returned.status === 404 ? undefined : at(returned.body, "status"),
      money: returned.status === 404 ? undefined : at(returned.body, "status_money"),
    });
  },
};

function actionsOf(claim: unknown): readonly unknown[] {
  const own = list(at(claim, "players")).find((each) => at(each, "role") === "respondent");
  return list(at(own, "available_actions")).map((each) => at(each, "action"));
}

const sendClaimMessage: Tool = {
  name: "send_claim_message",
  title: { es: "Escribir en un reclamo", pt: "Escrever em uma reclamação", en: "Write in a claim" },
  description:
    "Writes to the buyer or the mediator in a claim. It cannot be taken back. 1 to 2000 characters.",
  input: objectOf(
    {
      claim_id: digits("claim"),
      receiver: { type: "string", enum: ["complainant", "mediator"] },
      text: { type: "string", minLength: 1, maxLength: 2000 },
    },
    ["claim_id", "receiver", "text"],
  ),
  output: answerOf(["applied"]),
  effect: "writing",
  isIdempotent: false,
  isOnceOnly: true,
  asks: {
    es: "Enviar este mensaje en el reclamo. No se puede retirar:",
    pt: "Enviar esta mensagem na reclamação. Não pode ser retirada:",
    en: "Send this message in the claim. It cannot be taken back:",
  },
  async run(api, input) {
    const id = text(input["claim_id"]) ?? "";
    const { body: claim } = await api.call(endpoints.claim, { parts: { id } });
    const wanted = `send_message_to_${text(input["receiver"]) ?? ""}`;
    const may = actionsOf(claim);
    if (!may.includes(wanted)) {
      throw new ToolProblem("rejected", "Mercado Libre does not take this message now", {
        current: may,
      });
    }
    const about = { id, receiver: input["receiver"], text: input["text"] };
    await api.once({ tool: "send_claim_message", about }, () =>
      api.call(endpoints.sendClaimMessage, {
        parts: { id },
        body: { receiver_role: input["receiver"], message: input["text"] },
      }),
    );
    const messages = await readBack(
      async () => (await api.call(endpoints.claimMessages, { parts: { id } })).body,
    );
    const isThere = list(messages).some((each) => at(each, "message") === input["text"]);
    if (!isThere)
      throw new ToolProblem("not_applied", "Mercado Libre took the message and does not show it");
    return { before: null, after: input["text"], applied: true, warnings: [] };
  },
};

export const claimTools: readonly Tool[] = [listClaims, getClaim, sendClaimMessage];
