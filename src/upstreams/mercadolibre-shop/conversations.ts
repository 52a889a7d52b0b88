import type { Api, ApiAnswer } from "../tools/api.ts";
import { ToolProblem } from "../tools/problem.ts";
import {
  type Input,
  type Tool,
  answerOf,
  cut,
  objectOf,
  filtersOf,
  offsetOf,
  pageOf,
  paging,
} from "../tools/tool.ts";
import { vendorText } from "../tools/vendor-text.ts";
import { endpoints } from "./endpoints.ts";
import { at, compact, date, digits, itemId, list, needed, number, text } from "./fields.ts";
import { expectSame, readBack } from "./changes.ts";
import { itemsOf } from "./listings.ts";

const statuses: Readonly<Record<string, string>> = {
  unanswered: "UNANSWERED",
  answered: "ANSWERED",
  under_review: "UNDER_REVIEW",
  closed_unanswered: "CLOSED_UNANSWERED",
};

const listQuestions: Tool = {
  name: "list_questions",
  title: {
    es: "Preguntas de compradores",
    pt: "Perguntas de compradores",
    en: "Buyers' questions",
  },
  description:
    "Questions (preguntas) before a sale; unanswered ones, the oldest first, unless said. Unanswered questions of more than seven months are gone. At most 50 a page.",
  input: objectOf({
    status: { type: "string", enum: Object.keys(statuses), default: "unanswered" },
    item_id: itemId,
    order: { type: "string", enum: ["oldest", "newest"], default: "oldest" },
    ...paging,
  }),
  output: answerOf(["rows", "returned", "total", "truncated"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { id } = await api.seller();
    const filters = filtersOf("list_questions", input, ["status", "item_id", "order"]);
    const offset = offsetOf(input, filters);
    const item = text(input["item_id"]);
    const { body } = await api.call(endpoints.questions, {
      query: {
        seller_id: id,
        item,
        status: statuses[text(input["status"]) ?? ""],
        sort_fields: "date_created",
        sort_types: input["order"] === "newest" ? "DESC" : "ASC",
        offset,
        limit: number(input["limit"]),
      },
    });
    const questions = needed(at(body, "questions"));
    const ids = new Set(questions.flatMap((each) => text(at(each, "item_id")) ?? []));
    const { found } = await itemsOf(api, [...ids]);
    const titles = new Map(found.map((each) => [text(at(each, "id")), at(each, "title")]));
    const rows = questions.map((each) => questionOf(each, titles));
    const total = number(at(body, "total")) ?? rows.length;
    return pageOf(rows, { offset, total, filters });
  },
};

function questionOf(question: unknown, titles: ReadonlyMap<string | undefined, unknown>): object {
  const item = text(at(question, "item_id"));
  return compact({
    question_id: text(at(question, "id")),
    item_id: item,
    title: titles.get(item),
    untrusted_text: cut(at(question, "text"), 2000),
    date: date(at(question, "date_created")),
    status: at(question, "status"),
    answer: cut(at(question, "answer", "text"), 2000),
  });
}

const answerQuestion: Tool = {
  name: "answer_question",
  title: {
    es: "Responder una pregunta",
    pt: "Responder uma pergunta",
    en: "Answer a buyer's question",
  },
  description:
    "Publishes an answer to a question. `expected_question` is the text of the question: the person sees both. It is public, and can be neither changed nor taken back. No phone numbers, e-mail addresses or links: they get the answer banned. 1 to 2000 characters.",
  input: objectOf(
    {
      question_id: digits("question"),
      expected_question: { type: "string", minLength: 1, maxLength: 2000 },
      text: { type: "string", minLength: 1, maxLength: 2000 },
    },
    ["question_id", "expected_question", "text"],
  ),
  output: answerOf(["question_id", "status", "applied"]),
  effect: "writing",
  isIdempotent: false,
  isOnceOnly: true,
  asks: {
    es: "Publicar esta respuesta. Es pública y no se puede cambiar ni borrar:",
    pt: "Publicar esta resposta. É pública e não pode ser alterada nem apagada:",
    en: "Publish this answer. It is public, and can be neither changed nor deleted:",
  },
  check({ question_id: id }) {
    // The vendor wants a number here.
    if (Number.isSafeInteger(Number(id))) return;
    throw new ToolProblem("invalid_argument", "There are no such questions", {
      field: "question_id",
    });
  },
  async run(api, input) {
    const id = text(input["question_id"]) ?? "";
    const questionId = Number(id);
    const read = async () => (await api.call(endpoints.question, { parts: { id } })).body;
    const before = await read();
    if (at(before, "status") !== "UNANSWERED") {
      throw new ToolProblem("value_changed", "This question is not open any more", {
        current: compact({
          status: at(before, "status"),
          answer: cut(at(before, "answer", "text"), 500),
        }),
      });
    }
    expectSame("expected_question", input["expected_question"], cut(at(before, "text"), 2000));
    const wanted = text(input["text"]) ?? "";
    await api.once({ tool: "answer_question", about: { id } }, () =>
      api.call(endpoints.answer, { body: { question_id: questionId, text: wanted } }),
    );
    const after = await readBack(read);
    if (at(after, "status") !== "ANSWERED") {
      throw new ToolProblem(
        "not_applied",
        "Mercado Libre took the answer and does not show it: it may be under review",
        {
          current: compact({
            status: at(after, "status"),
            answer_status: at(after, "answer", "status"),
          }),
        },
      );
    }
    return {
      question_id: id,
      status: "answered",
      before: "unanswered",
      after: cut(at(after, "answer", "text"), 2000) ?? "",
      applied: true,
      warnings: [],
    };
  },
};

const listUnread: Tool = {
  name: "list_unread_messages",
  title: { es: "Mensajes sin leer", pt: "Mensagens não lidas", en: "Unread messages" },
  description: "Sales with unread messages of their buyers. 1 to 100.",
  input: objectOf({ limit: { type: "integer", minimum: 1, maximum: 100, default: 50 } }),
  output: answerOf(["rows", "total"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { body } = await api.call(endpoints.unread);
    const all = needed(at(body, "results"));
    const rows = all.slice(0, number(input["limit"])).map((each) =>
      compact({
        pack_id: /packs\/(\d+)/.exec(text(at(each, "resource")) ?? "")?.[1],
        unread: at(each, "count"),
      }),
    );
    return { rows, total: all.length };
  },
};

async function conversation(api: Api, id: string, query: Readonly<Record<string, number>> = {}) {
  const { id: seller } = await api.seller();
  const { body } = await api.call(endpoints.conversation, { parts: { id, seller }, query });
  return { seller, body };
}

const getConversation: Tool = {
  name: "get_conversation",
  title: { es: "Mensajes de una venta", pt: "Mensagens de uma venda", en: "Messages of a sale" },
  description:
    "Messages of one sale, the newest first, without marking them as read, and whether the seller may write. For an order without a pack its order id is the pack id. At most 10 a page.",
  input: objectOf(
    {
      pack_id: digits("pack"),
      limit: { type: "integer", minimum: 1, maximum: 10, default: 10 },
      cursor: paging.cursor,
    },
    ["pack_id"],
  ),
  output: answerOf(["rows", "returned", "total", "may_write"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const id = text(input["pack_id"]) ?? "";
    const filters = filtersOf("get_conversation", input, ["pack_id"]);
    const offset = offsetOf(input, filters);
    const { seller, body } = await conversation(api, id, {
      offset,
      limit: number(input["limit"]) ?? 10,
    });
    const rows = needed(at(body, "messages")).map((each) =>
      compact({
        from: text(at(each, "from", "user_id")) === seller ? "seller" : "buyer",
        untrusted_text: cut(at(each, "text"), 1000),
        date: date(at(each, "message_date", "created")),
        moderation: at(each, "message_moderation", "status"),
      }),
    );
    const total = number(at(body, "paging", "total")) ?? rows.length;
    return compact({
      ...pageOf(rows, { offset, total, filters }),
      may_write: at(body, "conversation_status", "status") === "active",
      blocked_because: at(body, "conversation_status", "substatus"),
      most_characters: number(at(body, "seller_max_message_length")) ?? 350,
    });
  },
};

const openings = [
  "OTHER",
  "DELIVERY_PROMISE",
  "SEND_INVOICE_LINK",
  "REQUEST_VARIANTS",
  "REQUEST_BILLING_INFO",
] as const;

const sendMessage: Tool = {
  name: "send_message",
  title: { es: "Escribir a un comprador", pt: "Escrever a um comprador", en: "Write to a buyer" },
  description:
    "Sends one message in the conversation of a sale: a reply, or with `option` a permitted opening. It cannot be taken back. Mercado Libre punishes automatic messages: each has to be a person's. 1 to 350 characters.",
  input: objectOf(
    {
      pack_id: digits("pack"),
      text: { type: "string", minLength: 1, maxLength: 350 },
      option: { type: "string", enum: ["reply", ...openings], default: "reply" },
    },
    ["pack_id", "text"],
  ),
  output: answerOf(["delivered", "applied"]),
  effect: "writing",
  isIdempotent: false,
  isOnceOnly: true,
  asks: {
    es: "Enviar este mensaje a quien compró. No se puede retirar:",
    pt: "Enviar esta mensagem a quem comprou. Não pode ser retirada:",
    en: "Send this message to the buyer. It cannot be taken back:",
  },
  async run(api, input) {
    const id = text(input["pack_id"]) ?? "";
    const about = { id, text: input["text"] };
    const request = await messageFor(api, input, id);
    const { body: sent } = await api.once({ tool: "send_message", about }, request);
    expectDelivered(sent);
    return { delivered: true, before: null, after: input["text"], applied: true, warnings: [] };
  },
};

/** Failures: `not_applied` for what was held back, `outcome_unknown` for what is looked at first. */
function expectDelivered(sent: unknown): void {
  const said = [at(sent, "message_moderation", "status"), at(sent, "status")].flatMap(
    (each) => text(each)?.toLowerCase() ?? [],
  );
  if (said.some((each) => each === "moderated" || each === "rejected")) {
    throw new ToolProblem("not_applied", "Mercado Libre took the message and did not deliver it", {
      nextStep:
        "Leave out contact data, links and prices outside Mercado Libre; the person has to agree to a new text.",
    });
  }
  const other = said.find((each) => !delivered.has(each));
  if (other === undefined) return;
  throw new ToolProblem(
    "outcome_unknown",
    "Mercado Libre took the message and has not delivered it yet",
    {
      current: vendorText(other, 40),
      nextStep: "Read the conversation in a while. Do not send it again by yourself.",
    },
  );
}

const delivered: ReadonlySet<string> = new Set(["clean", "non_moderated", "available", "sent"]);

/** A reply in a conversation that is open, or a permitted opening. Failures: `rejected` where neither may be. */
async function messageFor(api: Api, input: Input, id: string): Promise<() => Promise<ApiAnswer>> {
  const { seller, body } = await conversation(api, id);
  const option = text(input["option"]);
  if (option !== undefined && option !== "reply") {
    const { body: guide } = await api.call(endpoints.conversationOptions, {
      parts: { id },
      fine: [404],
    });
    const may = list(at(guide, "options")).map((each) => at(each, "id"));
    if (!may.includes(option)) {
      throw new ToolProblem("rejected", "This conversation cannot be opened so now", {
        current: may,
      });
    }
    const opening = { option_id: option, text: input["text"] };
    return () => api.call(endpoints.openConversation, { parts: { id }, body: opening });
  }
  if (at(body, "conversation_status", "status") !== "active") {
    const current = at(body, "conversation_status", "substatus") ?? null;
    throw new ToolProblem("rejected", "Mercado Libre does not let the seller reply here", {
      current,
    });
  }
  const to = counterpart(needed(at(body, "messages")), seller);
  const reply = { from: { user_id: seller }, to: { user_id: to }, text: input["text"] };
  return () => api.call(endpoints.sendMessage, { parts: { id, seller }, body: reply });
}

/** Whoever wrote last and is not the seller: the buyer, or the site's own agent in between. */
function counterpart(messages: readonly unknown[], seller: string): string {
  for (const message of messages) {
    const from = text(at(message, "from", "user_id"));
    const to = text(at(message, "to", "user_id"));
    const other = from === seller ? to : from;
    if (other !== undefined) return other;
  }
  throw new ToolProblem(
    "rejected",
    "Nobody has written in this conversation: a seller cannot open it freely",
  );
}

export const conversationTools: readonly Tool[] = [
  listQuestions,
  answerQuestion,
  listUnread,
  getConversation,
  sendMessage,
];
