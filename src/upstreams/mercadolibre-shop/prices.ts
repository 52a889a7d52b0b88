import type { Api, ApiAnswer } from "../tools/api.ts";
import { Unauthorized } from "../tools/api.ts";
import { ToolProblem } from "../tools/problem.ts";
import { type Tool, answerOf, objectOf } from "../tools/tool.ts";
import { endpoints } from "./endpoints.ts";
import { at, categoryId, compact, itemId, list, number, text } from "./fields.ts";
import { applied, expectSame, isSame, notApplied, readBack } from "./changes.ts";

/** A part of an answer that may be missing without spoiling the rest. */
async function part(asked: Promise<ApiAnswer>, read: (body: unknown) => object): Promise<object> {
  try {
    const { status, body } = await asked;
    return status === 404 ? { unavailable: "there is none" } : read(body);
  } catch (error) {
    if (error instanceof Unauthorized || !(error instanceof ToolProblem)) throw error;
    return { unavailable: error.code };
  }
}

const getPrice: Tool = {
  name: "get_listing_price",
  title: { es: "Precio y competencia", pt: "Preço e concorrência", en: "Price and competition" },
  description:
    "The price that buyers see, whether an automation owns it, catalog competition and the reference price of one listing.",
  input: objectOf({ item_id: itemId }, ["item_id"]),
  output: answerOf(["item_id"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const parts = { item_id: text(input["item_id"]) ?? "" };
    const ask = (endpoint: Parameters<Api["call"]>[0]) =>
      api.call(endpoint, { parts, fine: [404] });
    const [item, sale, automation, competition, reference] = await Promise.all([
      api.call(endpoints.item, { parts }),
      part(ask(endpoints.salePrice), (body) =>
        compact({
          amount: at(body, "amount"),
          regular: at(body, "regular_amount"),
          currency: at(body, "currency_id"),
        }),
      ),
      part(ask(endpoints.automation), (body) => ({ is_on: list(at(body, "rules")).length > 0 })),
      part(ask(endpoints.priceToWin), (body) =>
        compact({ status: at(body, "status"), price_to_win: at(body, "price_to_win") }),
      ),
      part(ask(endpoints.reference), (body) =>
        compact({ status: at(body, "status"), suggested: at(body, "suggested_price", "amount") }),
      ),
    ]);
    return {
      item_id: parts.item_id,
      listed_price: at(item.body, "price") ?? null,
      currency: at(item.body, "currency_id") ?? null,
      buyers_see: sale,
      automation,
      catalog_competition: competition,
      reference,
    };
  },
};

const updatePrice: Tool = {
  name: "update_listing_price",
  title: { es: "Cambiar un precio", pt: "Mudar um preço", en: "Change a price" },
  description:
    "Sets a new price on one listing, and on all its variations. `expected_price` is the price that the person saw. Raising a price ends running discounts. More than 0, at most 1000000000.",
  input: objectOf(
    {
      item_id: itemId,
      price: { type: "number", exclusiveMinimum: 0, maximum: 1_000_000_000 },
      expected_price: { type: "number", minimum: 0 },
    },
    ["item_id", "price", "expected_price"],
  ),
  output: answerOf(["before", "after", "applied"]),
  effect: "destructive",
  isIdempotent: true,
  isOnceOnly: true,
  asks: {
    es: "Cambiar el precio de esta publicación:",
    pt: "Mudar o preço deste anúncio:",
    en: "Change the price of this listing:",
  },
  async run(api, input) {
    const parts = { item_id: text(input["item_id"]) ?? "" };
    const wanted = number(input["price"]);
    const read = async () => (await api.call(endpoints.item, { parts })).body;
    const item = await read();
    for (const price of pricesOf(item))
      expectSame("expected_price", input["expected_price"], price);
    const automation = await api.call(endpoints.automation, { parts, fine: [404] });
    if (list(at(automation.body, "rules")).length > 0) {
      throw new ToolProblem(
        "rejected",
        "An automation of Mercado Libre owns the price of this listing",
        {
          nextStep: "The seller has to end the automation first, in Mercado Libre.",
        },
      );
    }
    const variations = list(at(item, "variations"));
    // Whoever names some of the variations deletes the others.
    const body =
      variations.length === 0
        ? { price: wanted }
        : { variations: variations.map((each) => ({ id: at(each, "id"), price: wanted })) };
    const { body: answer } = await api.call(endpoints.updateItem, { parts, body });
    const now = await readBack(read);
    const kept = list(at(now, "variations")).length;
    if (kept !== variations.length) throw notApplied({ variations: kept });
    const [before, after] = [pricesOf(item), pricesOf(now)];
    const other = after.find((price) => !isSame(price, wanted)) ?? after[0];
    return applied({ before: before[0], wanted, after: other, answer });
  },
};

/** Of all variations; of the listing where it has none. */
function pricesOf(item: unknown): readonly unknown[] {
  const prices = list(at(item, "variations")).map((each) => at(each, "price"));
  const own = prices.filter((price) => price !== undefined && price !== null);
  return own.length > 0 ? own : [at(item, "price")];
}

const estimateFees: Tool = {
  name: "estimate_fees",
  title: { es: "Comisiones de venta", pt: "Tarifas de venda", en: "Selling fees" },
  description:
    "Commission and fixed fee for a price in a category. Without `logistic_type` and `shipping_mode` the fixed fee may be wrong. Prices more than 0.",
  input: objectOf(
    {
      price: { type: "number", exclusiveMinimum: 0, maximum: 1_000_000_000 },
      category_id: categoryId,
      listing_type: {
        type: "string",
        enum: ["gold_special", "gold_pro", "free"],
        default: "gold_special",
      },
      logistic_type: {
        type: "string",
        enum: [
          "drop_off",
          "cross_docking",
          "xd_drop_off",
          "self_service",
          "fulfillment",
          "not_specified",
        ],
      },
      shipping_mode: { type: "string", enum: ["me2", "me1", "custom", "not_specified"] },
    },
    ["price", "category_id"],
  ),
  output: answerOf(["fees"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { site } = await api.seller();
    const { body } = await api.call(endpoints.listingPrices, {
      parts: { site },
      query: {
        price: number(input["price"]),
        category_id: text(input["category_id"]),
        listing_type_id: text(input["listing_type"]),
        logistic_type: text(input["logistic_type"]),
        shipping_mode: text(input["shipping_mode"]),
      },
    });
    // One object where a type of listing is named, else a list.
    const all = Array.isArray(body) ? list(body) : [body];
    const fees = all.map((each) =>
      compact({
        listing_type: at(each, "listing_type_id"),
        fee: at(each, "sale_fee_amount"),
        currency: at(each, "currency_id"),
        percentage: at(each, "sale_fee_details", "percentage_fee"),
        fixed: at(each, "sale_fee_details", "fixed_fee"),
      }),
    );
    const isSure = input["logistic_type"] !== undefined && input["shipping_mode"] !== undefined;
    return {
      fees,
      warnings: isSure ? [] : ["The fixed fee depends on logistic_type and shipping_mode."],
    };
  },
};

export const priceTools: readonly Tool[] = [getPrice, updatePrice, estimateFees];
