import type { Api } from "../tools/api.ts";
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
import { at, compact, date, digits, itemId, list, needed, number, text } from "./fields.ts";

const dayMs = 86_400_000;
const moment = { type: "string", format: "date-time", maxLength: 40 } as const;

function lineOf(line: unknown): object {
  return compact({
    item_id: text(at(line, "item", "id")),
    title: cut(at(line, "item", "title"), 120),
    variation_id: text(at(line, "item", "variation_id")),
    sku: at(line, "item", "seller_sku"),
    quantity: at(line, "quantity"),
    unit_price: at(line, "unit_price"),
    fee: at(line, "sale_fee"),
  });
}

function orderOf(order: unknown): object {
  return compact({
    order_id: text(at(order, "id")),
    pack_id: text(at(order, "pack_id")),
    date: date(at(order, "date_created")),
    status: at(order, "status"),
    tags: at(order, "tags"),
    lines: list(at(order, "order_items")).map(lineOf),
    total: at(order, "total_amount"),
    paid: at(order, "paid_amount"),
    currency: at(order, "currency_id"),
    shipment_id: text(at(order, "shipping", "id")),
    buyer: compact({ untrusted_text: cut(at(order, "buyer", "nickname"), 60) }),
  });
}

const fieldNames: Readonly<Record<string, string>> = {
  created: "date_created",
  updated: "date_last_updated",
  closed: "date_closed",
};

/** Failures: `invalid_argument` for a span that is none, or longer than a year. */
function spanOf(input: Readonly<Record<string, unknown>>, now: Date): { from: Date; to: Date } {
  const read = (name: string, standard: number) => {
    const given = input[name];
    const at = given === undefined ? new Date(standard) : new Date(text(given) ?? "");
    if (!Number.isNaN(at.getTime())) return at;
    throw new ToolProblem("invalid_argument", `${name} is no date with a time`, { field: name });
  };
  const to = read("to", now.getTime());
  const from = read("from", to.getTime() - 7 * dayMs);
  const days = (to.getTime() - from.getTime()) / dayMs;
  if (days >= 0 && days <= 366) return { from, to };
  throw new ToolProblem("invalid_argument", "from is after to, or more than 366 days before it", {
    field: "from",
  });
}

const listOrders: Tool = {
  name: "list_orders",
  title: { es: "Ventas", pt: "Vendas", en: "List sales" },
  description:
    "Sales of a period, newest first; the last seven days unless said. Mercado Libre keeps twelve months, and leaves cancelled sales out unless status is cancelled. At most 50 a page, and 366 days.",
  input: objectOf({
    from: moment,
    to: moment,
    date_field: { type: "string", enum: Object.keys(fieldNames), default: "created" },
    status: {
      type: "string",
      enum: ["paid", "confirmed", "payment_required", "partially_refunded", "cancelled"],
    },
    item_id: itemId,
    query: { type: "string", minLength: 1, maxLength: 100 },
    ...paging,
  }),
  output: answerOf(["rows", "returned", "total", "truncated", "from", "to"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { id } = await api.seller();
    const { from, to } = spanOf(input, api.now());
    const field = fieldNames[text(input["date_field"]) ?? ""] ?? "date_created";
    const named = ["from", "to", "date_field", "status", "item_id", "query"];
    const filters = filtersOf("list_orders", input, named);
    const offset = offsetOf(input, filters);
    const { body } = await api.call(endpoints.orders, {
      query: {
        seller: id,
        [`order.${field}.from`]: from.toISOString(),
        [`order.${field}.to`]: to.toISOString(),
        "order.status": text(input["status"]),
        item: text(input["item_id"]),
        q: text(input["query"]),
        sort: "date_desc",
        offset,
        limit: number(input["limit"]),
      },
    });
    const orders = needed(at(body, "results"));
    if (field === "date_created") expectWithin(orders, { from, to });
    const total = number(at(body, "paging", "total")) ?? orders.length;
    return {
      ...pageOf(orders.map(orderOf), { offset, total, filters }),
      from: from.toISOString(),
      to: to.toISOString(),
    };
  },
};

/** A filter that the vendor does not know any more is ignored, and everything comes. Failures: `rejected`. */
function expectWithin(orders: readonly unknown[], { from, to }: { from: Date; to: Date }): void {
  const isOutside = orders.some((each) => {
    const created = new Date(String(at(each, "date_created"))).getTime();
    return created < from.getTime() - dayMs || created > to.getTime() + dayMs;
  });
  if (!isOutside) return;
  throw new ToolProblem(
    "rejected",
    "Mercado Libre ignored the dates: these are not the sales of the period",
    {
      nextStep: "Tell the operator of this gateway. Do not add these up.",
    },
  );
}

const getOrder: Tool = {
  name: "get_order",
  title: { es: "Una venta", pt: "Uma venda", en: "One sale" },
  description:
    "One order, or all orders of a pack, with discounts and payments. Exactly one of the two ids.",
  input: objectOf({ order_id: digits("order"), pack_id: digits("pack") }),
  output: answerOf(["orders"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const [order, pack] = [text(input["order_id"]), text(input["pack_id"])];
    if ((order === undefined) === (pack === undefined)) {
      throw new ToolProblem("invalid_argument", "Give either order_id or pack_id", {
        field: "order_id",
      });
    }
    const ids = order === undefined ? await ordersOfPack(api, pack ?? "") : [order];
    const orders = await Promise.all(ids.map((id) => wholeOrder(api, id)));
    return { orders };
  },
};

async function ordersOfPack(api: Api, id: string): Promise<readonly string[]> {
  const { body } = await api.call(endpoints.pack, { parts: { id } });
  return list(at(body, "orders"))
    .flatMap((each) => text(at(each, "id")) ?? [])
    .slice(0, 20);
}

async function wholeOrder(api: Api, id: string): Promise<object> {
  const [order, discounts] = await Promise.all([
    api.call(endpoints.order, { parts: { id } }),
    api.call(endpoints.discounts, { parts: { id }, fine: [404] }),
  ]);
  const payments = list(at(order.body, "payments")).map((each) =>
    compact({
      status: at(each, "status"),
      method: at(each, "payment_method_id"),
      amount: at(each, "total_paid_amount"),
    }),
  );
  const found = list(at(discounts.body, "details")).map((each) =>
    compact({ type: at(each, "type"), amount: at(each, "items", 0, "amounts", "total") }),
  );
  return {
    ...orderOf(order.body),
    payments,
    discounts: found,
    open_claims: list(at(order.body, "mediations")).length,
  };
}

const getShipment: Tool = {
  name: "get_shipment",
  title: { es: "Envío", pt: "Envio", en: "Shipment" },
  description:
    "State, promise, delay and, where asked for, costs and history of a parcel. City and state only: the buyer's address is never shown.",
  input: objectOf(
    {
      shipment_id: digits("shipment"),
      include: {
        type: "array",
        items: { type: "string", enum: ["costs", "history"] },
        uniqueItems: true,
        default: [],
      },
    },
    ["shipment_id"],
  ),
  output: answerOf(["shipment_id", "status"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const parts = { id: text(input["shipment_id"]) ?? "" };
    const wants = (name: string) => list(input["include"]).includes(name);
    const none = Promise.resolve(undefined);
    const [shipment, sla, delays, costs, history] = await Promise.all([
      api.call(endpoints.shipment, { parts }),
      api.call(endpoints.shipmentSla, { parts, fine: [404] }),
      api.call(endpoints.shipmentDelays, { parts, fine: [404] }),
      wants("costs") ? api.call(endpoints.shipmentCosts, { parts, fine: [404] }) : none,
      wants("history") ? api.call(endpoints.shipmentHistory, { parts, fine: [404] }) : none,
    ]);
    const to = at(shipment.body, "destination", "shipping_address");
    return compact({
      shipment_id: parts.id,
      status: at(shipment.body, "status"),
      substatus: at(shipment.body, "substatus"),
      logistics: at(shipment.body, "logistic", "type"),
      tracking_number: at(shipment.body, "tracking_number"),
      city: at(to, "city", "name"),
      state: at(to, "state", "name"),
      promise:
        sla.status === 404
          ? undefined
          : { status: at(sla.body, "status"), until: date(at(sla.body, "expected_date")) },
      delayed: delays.status !== 404 && list(at(delays.body, "delays")).length > 0,
      costs:
        costs === undefined
          ? undefined
          : compact({
              gross: at(costs.body, "gross_amount"),
              seller: at(costs.body, "senders", 0, "cost"),
            }),
      history:
        history === undefined
          ? undefined
          : list(history.body)
              .slice(-20)
              .map((each) => compact({ status: at(each, "status"), date: date(at(each, "date")) })),
    });
  },
};

const mostLabelBytes = 512 * 1024;

const getLabels: Tool = {
  name: "get_shipping_labels",
  title: { es: "Etiquetas de envío", pt: "Etiquetas de envio", en: "Shipping labels" },
  description:
    "Printable labels of parcels, as a file. It may mark them as printed, and holds the buyer's address. 1 to 20 parcels.",
  input: objectOf(
    {
      shipment_ids: {
        type: "array",
        items: digits("shipment"),
        minItems: 1,
        maxItems: 20,
        uniqueItems: true,
      },
      format: { type: "string", enum: ["pdf", "zpl2"], default: "pdf" },
    },
    ["shipment_ids"],
  ),
  output: answerOf(["shipment_ids", "format", "bytes"]),
  effect: "writing",
  isIdempotent: true,
  asks: {
    es: "Entregar las etiquetas de estos envíos (tienen la dirección de quien compró):",
    pt: "Entregar as etiquetas destes envios (têm o endereço de quem comprou):",
    en: "Hand out the labels of these parcels (they hold the buyers' addresses):",
  },
  async run(api, input) {
    const ids = list(input["shipment_ids"]).flatMap((each) => text(each) ?? []);
    const format = text(input["format"]) ?? "pdf";
    const query = { shipment_ids: ids.join(","), response_type: format };
    // A file when it went well, JSON when it did not.
    const { file } = await api.call(endpoints.labels, { query });
    const isLabel = /pdf|zip|octet-stream|zpl/.test(file?.mimeType ?? "");
    if (file === undefined || !isLabel)
      throw new ToolProblem("rejected", "No labels came: they may not be printable yet");
    if (file.bytes.length > mostLabelBytes) {
      throw new ToolProblem("rejected", "The labels are too large", {
        nextStep: "Ask for fewer parcels at once.",
      });
    }
    api.attach({ ...file, name: `labels-${ids[0]}.${format}` });
    return { shipment_ids: ids, format, bytes: file.bytes.length };
  },
};

export const saleTools: readonly Tool[] = [listOrders, getOrder, getShipment, getLabels];
