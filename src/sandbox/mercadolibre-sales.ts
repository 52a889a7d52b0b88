import { isObject } from "#src/json.ts";
import { message } from "./mercadolibre-data.ts";
import { type Route, type ApiCall, json, pages, problem } from "./mercadolibre-route.ts";

/** Orders, parcels, questions, messages, claims, promotions, the market and bills. */
export const saleRoutes: readonly Route[] = [
  [/^GET \/orders\/search$/, searchOrders],
  [
    /^GET \/orders\/(\d+)$/,
    ({ shop, parts }) => {
      const order = shop.orders.find(({ id }) => String(id) === parts[0]);
      return order === undefined ? problem(404, "order not found") : json(order);
    },
  ],
  [/^GET \/orders\/\d+\/discounts$/, () => problem(404, "no discounts")],
  [
    /^GET \/packs\/(\d+)$/,
    ({ shop, parts }) => {
      const orders = shop.orders.filter((each) => String(each["pack_id"]) === parts[0]);
      return orders.length === 0
        ? problem(404, "pack not found")
        : json({ id: Number(parts[0]), orders: orders.map(({ id }) => ({ id })) });
    },
  ],
  [
    /^GET \/shipments\/(\d+)$/,
    ({ parts, request }) =>
      request.headers.get("x-format-new") === "true"
        ? json({
            id: Number(parts[0]),
            status: "ready_to_ship",
            substatus: "ready_to_print",
            logistic: { type: "cross_docking" },
            tracking_number: "TRK123",
            destination: {
              shipping_address: {
                city: { name: "Rosario" },
                state: { name: "Santa Fe" },
                street_name: "Private 123",
              },
            },
          })
        : json({ id: Number(parts[0]), status: "old shape" }),
  ],
  [
    /^GET \/shipments\/\d+\/sla$/,
    ({ now }) =>
      json({
        status: "on_time",
        expected_date: `${new Date(now + 86_400_000).toISOString().slice(0, 19)}.000-0300`,
      }),
  ],
  [/^GET \/shipments\/\d+\/delays$/, () => problem(404, "no delays")],
  [/^GET \/shipments\/\d+\/costs$/, () => json({ gross_amount: 4500, senders: [{ cost: 1200 }] })],
  [
    /^GET \/shipments\/\d+\/history$/,
    ({ now }) => json([{ status: "handling", date: new Date(now).toISOString() }]),
  ],
  [
    /^GET \/shipment_labels$/,
    ({ query }) =>
      query.get("shipment_ids") === "4000012"
        ? problem(400, "the shipment is not ready to print")
        : new Response("%PDF-1.4 simulated", { headers: { "content-type": "application/pdf" } }),
  ],
  [/^GET \/questions\/search$/, searchQuestions],
  [
    /^GET \/questions\/(\d+)$/,
    ({ shop, parts }) => {
      const question = shop.questions.get(Number(parts[0]));
      return question === undefined ? problem(404, "question not found") : json(question);
    },
  ],
  [/^POST \/answers$/, answer],
  [
    /^GET \/messages\/unread$/,
    ({ shop, seller, query }) =>
      query.get("role") === null
        ? problem(400, "role is required")
        : json({
            user_id: seller.id,
            results: [...shop.conversations]
              .filter(([, all]) => all.length > 0)
              .map(([pack, all]) => ({
                resource: `/packs/${pack}/sellers/${seller.id}`,
                count: all.length,
              })),
          }),
  ],
  [
    /^GET \/messages\/packs\/(\d+)\/sellers\/\d+$/,
    (visit) => {
      const all = visit.shop.conversations.get(visit.parts[0] ?? "");
      if (all === undefined) return problem(404, "conversation not found");
      const { offset, limit } = pages(visit);
      return json({
        messages: all.toReversed().slice(offset, offset + limit),
        paging: { total: all.length },
        conversation_status:
          all.length === 0
            ? {
                status: "blocked",
                substatus: "blocked_by_conversation_initiated_by_seller_limited",
              }
            : { status: "active" },
        seller_max_message_length: 350,
      });
    },
  ],
  [
    /^POST \/messages\/packs\/(\d+)\/sellers\/(\d+)$/,
    ({ shop, parts, body, now }) => {
      const text = String(body["text"]);
      // Contact data is taken, and not delivered.
      const isModerated = /@|\d{7}/.test(text);
      const to = isObject(body["to"]) ? String(body["to"]["user_id"]) : "";
      const sent = message(
        { from: parts[1] ?? "", to },
        text,
        now,
        isModerated ? "moderated" : "clean",
      );
      if (!isModerated) shop.conversations.get(parts[0] ?? "")?.push(sent);
      return json(sent, 201);
    },
  ],
  [
    /^GET \/post-purchase\/v1\/claims\/search$/,
    ({ query, shop }) => {
      if (query.get("players.user_id") === null) return problem(400, "a filter is required");
      const order = shop.orders[3];
      const isOpen = query.get("status") === "opened";
      const data = isOpen
        ? [
            {
              id: 6_000_001,
              type: "mediations",
              stage: "claim",
              status: "opened",
              resource_id: order?.id,
              reason_id: "PDD9939",
              last_updated: order?.date_created,
            },
          ]
        : [];
      return json({ data, paging: { total: data.length } });
    },
  ],
  [
    /^GET \/post-purchase\/v1\/claims\/6000001$/,
    ({ shop }) =>
      json({
        id: 6_000_001,
        stage: "claim",
        status: "opened",
        resource_id: shop.orders[3]?.id,
        players: [
          {
            role: "respondent",
            available_actions: [{ action: "send_message_to_complainant" }, { action: "refund" }],
          },
        ],
      }),
  ],
  [
    /^GET \/post-purchase\/v1\/claims\/6000001\/detail$/,
    ({ now }) =>
      json({
        problem: "El producto llegó roto",
        due_date: new Date(now + 86_400_000).toISOString(),
      }),
  ],
  [/^GET \/post-purchase\/v1\/claims\/6000001\/messages$/, ({ shop }) => json(shop.claimMessages)],
  [
    /^POST \/post-purchase\/v1\/claims\/6000001\/actions\/send-message$/,
    ({ shop, body, now }) => {
      shop.claimMessages.push({
        sender_role: "respondent",
        message: String(body["message"]),
        message_date: new Date(now).toISOString(),
      });
      return json({}, 201);
    },
  ],
  [
    /^GET \/post-purchase\/v1\/claims\/6000001\/expected-resolutions$/,
    () => json([{ expected_resolution: "refund", player_role: "complainant", status: "pending" }]),
  ],
  [
    /^GET \/messages\/action_guide\/packs\/(\d+)$/,
    () => json({ options: [{ id: "OTHER" }, { id: "REQUEST_VARIANTS" }] }),
  ],
  [
    /^POST \/messages\/action_guide\/packs\/(\d+)\/option$/,
    ({ shop, seller, parts, body, now }) => {
      const sent = message({ from: seller.id, to: "700100" }, String(body["text"]), now);
      shop.conversations.get(parts[0] ?? "")?.push(sent);
      return json(sent, 201);
    },
  ],
  [
    /^GET \/seller-promotions\/promotions\/([\w-]+)\/items$/,
    ({ query }) =>
      query.get("promotion_type") === null
        ? problem(400, "promotion_type is required", { key: "bad_request" })
        : json({
            results: [{ id: "MLA1001", status: "candidate", price: 9900 }],
            paging: { total: 1 },
          }),
  ],
  [
    /^GET \/seller-promotions\/users\/\d+$/,
    () =>
      json({
        results: [{ id: "P-MLA1", type: "DEAL", name: "Hot Sale", status: "started" }],
        paging: { total: 1 },
      }),
  ],
  [
    /^GET \/seller-promotions\/items\/(\w+)$/,
    ({ shop, parts }) => {
      const price = shop.discounts.get(parts[0] ?? "");
      return json(
        price === undefined ? [] : [{ type: "PRICE_DISCOUNT", status: "started", price }],
      );
    },
  ],
  [
    /^POST \/seller-promotions\/items\/(\w+)$/,
    ({ shop, parts, body }) => {
      shop.discounts.set(parts[0] ?? "", Number(body["deal_price"]));
      return json({ price: body["deal_price"] }, 201);
    },
  ],
  [
    /^DELETE \/seller-promotions\/items\/(\w+)$/,
    ({ shop, parts, query }) => {
      if (query.get("promotion_type") === null) return json({ successful_ids: [], errors: [] });
      shop.discounts.delete(parts[0] ?? "");
      return json({ successful_ids: ["x"], errors: [] });
    },
  ],
  [
    /^GET \/sites\/(\w+)\/domain_discovery\/search$/,
    ({ parts }) =>
      json([{ category_id: `${parts[0]}1574`, category_name: "Mates", domain_name: "Mates" }]),
  ],
  [
    /^GET \/categories\/\w+\/attributes$/,
    () =>
      json([
        { id: "BRAND", name: "Marca", tags: { required: true }, values: [{ name: "Stanley" }] },
        { id: "X", name: "Otro", tags: {} },
      ]),
  ],
  [
    /^GET \/products\/search$/,
    ({ query }) =>
      json({ results: [{ id: `${query.get("site_id")}900001`, name: "Mate Stanley" }] }),
  ],
  [/^GET \/trends\/\w+$/, () => json([{ keyword: "mate stanley" }, { keyword: "termo" }])],
  [
    /^GET \/highlights\/(\w+)\/category\/\w+$/,
    ({ parts }) => json({ content: [{ id: `${parts[0]}1001`, position: 1, type: "ITEM" }] }),
  ],
  [
    /^GET \/billing\/integration\/monthly\/periods$/,
    () =>
      json({
        results: [{ key: "2026-11-01", amount: 15_000, unpaid_amount: 0, period_status: "OPEN" }],
      }),
  ],
  [/^GET \/advertising\/advertisers$/, () => problem(404, "No permissions found for user_id")],
];

function searchOrders(visit: ApiCall): Response {
  const { shop, query } = visit;
  const { offset, limit } = pages(visit);
  const time = (name: string, standard: number) => {
    const given = query.get(`order.date_created.${name}`);
    return given === null ? standard : Date.parse(given);
  };
  const [from, to] = [time("from", 0), time("to", Number.POSITIVE_INFINITY)];
  const status = query.get("order.status");
  const found = shop.orders.filter((order) => {
    const at = Date.parse(order.date_created);
    // Cancelled ones do not come unasked.
    const isWanted = status === null ? order.status !== "cancelled" : order.status === status;
    return isWanted && at >= from && at <= to;
  });
  return json({
    results: found.slice(offset, offset + limit),
    paging: { total: found.length, offset, limit },
  });
}

function searchQuestions(visit: ApiCall): Response {
  const { shop, query } = visit;
  const { offset, limit } = pages(visit);
  const [status, item] = [query.get("status"), query.get("item")];
  const found = [...shop.questions.values()].filter(
    (each) =>
      (status === null || each.status === status) && (item === null || each.item_id === item),
  );
  const sorted = query.get("sort_types") === "DESC" ? found.toReversed() : found;
  return json({ total: found.length, questions: sorted.slice(offset, offset + limit) });
}

function answer({ shop, body, now }: ApiCall): Response {
  const question =
    typeof body["question_id"] === "number" ? shop.questions.get(body["question_id"]) : undefined;
  if (question === undefined) return problem(400, "invalid_question");
  if (question.status !== "UNANSWERED")
    return problem(400, "invalid_question", {
      cause: [{ code: "answered", message: "the question was answered" }],
    });
  question.status = "ANSWERED";
  question.answer = {
    text: String(body["text"]),
    status: "ACTIVE",
    date_created: new Date(now).toISOString(),
  };
  return json(question, 201);
}
