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
import { endpoints, idPatterns } from "./endpoints.ts";
import { at, compact, date, itemId, list, needed, number, text } from "./fields.ts";
import { applied, expectSame, notApplied, readBack } from "./changes.ts";

const listPromotions: Tool = {
  name: "list_promotions",
  title: { es: "Promociones", pt: "Promoções", en: "Promotions" },
  description:
    "Campaigns that are open to the seller, the offers of one listing (`item_id`), or the listings of one campaign (`promotion_id` with its `promotion_type`). At most 50 a page.",
  input: objectOf({
    item_id: itemId,
    promotion_id: { type: "string", pattern: idPatterns.promotion_id.source },
    promotion_type: { type: "string", pattern: "^[A-Z_]{2,40}$" },
    ...paging,
  }),
  output: answerOf(["rows", "returned", "total", "truncated"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const filters = filtersOf("list_promotions", input, [
      "item_id",
      "promotion_id",
      "promotion_type",
    ]);
    const offset = offsetOf(input, filters);
    const item = text(input["item_id"]);
    const limit = number(input["limit"]) ?? 20;
    const { body } = await promotionsIn(api, input, { offset, limit });
    const all = Array.isArray(body) ? list(body) : needed(at(body, "results"));
    // The offers of one listing come all at once.
    const rows = (item === undefined ? all : all.slice(offset, offset + limit)).map(promotionOf);
    const total = number(at(body, "paging", "total")) ?? all.length;
    return pageOf(rows, { offset, total, filters });
  },
};

async function promotionsIn(
  api: Api,
  input: Input,
  page: { readonly offset: number; readonly limit: number },
): Promise<ApiAnswer> {
  const [item, promotion, type] = ["item_id", "promotion_id", "promotion_type"].map((name) =>
    text(input[name]),
  );
  if (item !== undefined)
    return await api.call(endpoints.itemPromotions, { parts: { item_id: item } });
  if (promotion === undefined) {
    const { id } = await api.seller();
    return await api.call(endpoints.promotions, { parts: { seller: id }, query: page });
  }
  if (type === undefined) {
    throw new ToolProblem("invalid_argument", "promotion_id needs its promotion_type", {
      field: "promotion_type",
    });
  }
  const query = { promotion_type: type, ...page };
  return await api.call(endpoints.promotionItems, { parts: { promotion_id: promotion }, query });
}

function promotionOf(each: unknown): object {
  return compact({
    promotion_id: text(at(each, "id")),
    type: at(each, "type"),
    name: cut(at(each, "name"), 120),
    status: at(each, "status"),
    price: at(each, "price"),
    min_price: at(each, "min_discounted_price"),
    max_price: at(each, "max_discounted_price"),
    suggested_price: at(each, "suggested_discounted_price"),
    starts: date(at(each, "start_date")),
    ends: date(at(each, "finish_date")),
  });
}

const setDiscount: Tool = {
  name: "set_listing_discount",
  title: {
    es: "Poner o quitar un descuento",
    pt: "Colocar ou tirar um desconto",
    en: "Put or end a discount",
  },
  description:
    "Starts an own discount on one listing (`set`), or ends it (`remove`). `expected_price` is the listed price that the person saw. A discount is 5 to 80 per cent and lasts 14 days at most.",
  input: objectOf(
    {
      item_id: itemId,
      action: { type: "string", enum: ["set", "remove"] },
      deal_price: { type: "number", exclusiveMinimum: 0, maximum: 1_000_000_000 },
      start_date: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\d$" },
      end_date: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\d$" },
      expected_price: { type: "number", minimum: 0 },
    },
    ["item_id", "action", "expected_price"],
  ),
  output: answerOf(["before", "after", "applied"]),
  effect: "destructive",
  isIdempotent: false,
  isOnceOnly: true,
  asks: {
    es: "Cambiar el descuento de esta publicación:",
    pt: "Mudar o desconto deste anúncio:",
    en: "Change the discount of this listing:",
  },
  check(input) {
    if (input["action"] === "set") expectDiscount(input);
  },
  async run(api, input) {
    const parts = { item_id: text(input["item_id"]) ?? "" };
    const isSet = input["action"] === "set";
    const deal = number(input["deal_price"]);
    const [start, end] = [text(input["start_date"]), text(input["end_date"])];
    const { body: item } = await api.call(endpoints.item, { parts });
    const price = number(at(item, "price")) ?? 0;
    expectSame("expected_price", input["expected_price"], price);
    // A site's today may be yesterday's here.
    const today = Math.floor(api.now().getTime() / 86_400_000);
    if (isSet && (dayOf(start) ?? 0) < today - 1)
      throw wrong("The first day is over", "start_date");
    const read = async () => {
      const { body } = await api.call(endpoints.itemPromotions, { parts });
      const own = needed(body).find(
        (each) => at(each, "type") === "PRICE_DISCOUNT" && at(each, "status") !== "finished",
      );
      return own === undefined ? null : (at(own, "price") ?? null);
    };
    const before = await read();
    // Without the type, every offer of the listing would go.
    const type = { promotion_type: "PRICE_DISCOUNT" };
    const { body: answer } = await api.once({ tool: "set_listing_discount", about: input }, () =>
      isSet
        ? api.call(endpoints.createDiscount, {
            parts,
            body: {
              ...type,
              deal_price: deal,
              start_date: `${start}T00:00:00`,
              finish_date: `${end}T23:59:59`,
            },
          })
        : api.call(endpoints.removeDiscount, { parts, query: type }),
    );
    const after = await readBack(read);
    const refused = list(at(answer, "errors"));
    if (refused.length > 0 && after === before) throw notApplied(after, { answer });
    return applied({ before, wanted: isSet ? deal : null, after, answer });
  },
};

function wrong(message: string, field: string): ToolProblem {
  return new ToolProblem("invalid_argument", message, { field });
}

/** Failures: `invalid_argument` for a discount that Mercado Libre does not take. */
function expectDiscount(input: Input): void {
  const deal = number(input["deal_price"]);
  if (deal === undefined) throw wrong("A discount needs its price", "deal_price");
  const share = 1 - deal / (number(input["expected_price"]) ?? 0);
  if (share < 0.05 || share > 0.8) {
    throw wrong("A discount is 5 to 80 per cent of the listed price", "deal_price");
  }
  const [first, last] = [dayOf(text(input["start_date"])), dayOf(text(input["end_date"]))];
  if (first === undefined || last === undefined) {
    throw wrong("A discount needs its first and last day, such as 2026-12-01", "start_date");
  }
  // The first and the last day are days of it.
  if (last < first) throw wrong("The last day of a discount is before its first", "end_date");
  if (last - first > 13) throw wrong("A discount lasts 14 days at most", "end_date");
}

/** Days since 1970; undefined for what no calendar has. */
function dayOf(written: string | undefined): number | undefined {
  const at = Date.parse(`${written}T00:00:00Z`);
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== written) return undefined;
  return at / 86_400_000;
}

export const promotionTools: readonly Tool[] = [listPromotions, setDiscount];
