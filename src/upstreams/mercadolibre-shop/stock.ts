import type { Api } from "../tools/api.ts";
import { ToolProblem } from "../tools/problem.ts";
import { type Tool, answerOf, objectOf } from "../tools/tool.ts";
import { endpoints } from "./endpoints.ts";
import { at, compact, digits, itemId, list, number, text } from "./fields.ts";
import { applied, expectSame, readBack } from "./changes.ts";

const getStock: Tool = {
  name: "get_listing_stock",
  title: "Stock by place",
  description:
    "Units of one listing by place (own address, warehouse, Full), which of them can be changed, and the version that a change has to name.",
  input: objectOf({ item_id: itemId }, ["item_id"]),
  output: answerOf(["quantity"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { body: item } = await api.call(endpoints.item, {
      parts: { item_id: text(input["item_id"]) ?? "" },
    });
    const product = text(at(item, "user_product_id"));
    const inventory = text(at(item, "inventory_id"));
    const places = product === undefined ? undefined : await placesOf(api, product);
    const full =
      inventory === undefined
        ? undefined
        : await api.call(endpoints.fulfillmentStock, {
            parts: { inventory_id: inventory },
            fine: [404],
          });
    const variations = list(at(item, "variations")).map((each) => ({
      variation_id: text(at(each, "id")),
      quantity: at(each, "available_quantity"),
    }));
    return compact({
      quantity: at(item, "available_quantity") ?? 0,
      variations: variations.length === 0 ? undefined : variations,
      places: places?.places,
      stock_version: places?.version,
      full:
        full?.status === 200
          ? { available: at(full.body, "available_quantity"), total: at(full.body, "total") }
          : undefined,
    });
  },
};

async function placesOf(api: Api, product: string) {
  const { body, version } = await api.call(endpoints.userProductStock, {
    parts: { user_product_id: product },
  });
  const places = list(at(body, "locations")).map((each) => ({
    type: at(each, "type"),
    quantity: at(each, "quantity"),
    can_change: at(each, "type") === "selling_address",
  }));
  return { places, version };
}

const updateStock: Tool = {
  name: "update_listing_stock",
  title: "Change stock",
  description:
    "Sets the units of one listing, or of one of its variations. `expected_quantity` is what the person saw. 0 pauses the listing. From 0 to 99999.",
  input: objectOf(
    {
      item_id: itemId,
      variation_id: digits("variation"),
      quantity: { type: "integer", minimum: 0, maximum: 99_999 },
      expected_quantity: { type: "integer", minimum: 0 },
    },
    ["item_id", "quantity", "expected_quantity"],
  ),
  output: answerOf(["before", "after", "applied"]),
  effect: "destructive",
  isIdempotent: true,
  asks: {
    es: "Cambiar las unidades de esta publicación:",
    pt: "Mudar as unidades deste anúncio:",
    en: "Change the units of this listing:",
  },
  async run(api, input) {
    const parts = { item_id: text(input["item_id"]) ?? "" };
    const { body: item } = await api.call(endpoints.item, { parts });
    const product = text(at(item, "user_product_id"));
    const wanted = number(input["quantity"]) ?? 0;
    return product === undefined
      ? await setItemStock(api, input, { parts, item, wanted })
      : await setProductStock(api, input, { product, wanted });
  },
};

type Items = {
  readonly parts: Readonly<Record<string, string>>;
  readonly item: unknown;
  readonly wanted: number;
};

async function setItemStock(
  api: Api,
  input: Readonly<Record<string, unknown>>,
  { parts, item, wanted }: Items,
) {
  const variation = text(input["variation_id"]);
  const quantityIn = (from: unknown) => {
    const of = list(at(from, "variations")).find((each) => text(at(each, "id")) === variation);
    return at(variation === undefined ? from : of, "available_quantity");
  };
  const before = quantityIn(item);
  expectSame("expected_quantity", input["expected_quantity"], before);
  const variations = list(at(item, "variations"));
  if (variation === undefined && variations.length > 0) {
    throw new ToolProblem("invalid_argument", "This listing has variations: name one", {
      field: "variation_id",
    });
  }
  const body =
    variation === undefined
      ? { available_quantity: wanted }
      : {
          variations: variations.map((each) =>
            compact({
              id: at(each, "id"),
              available_quantity: text(at(each, "id")) === variation ? wanted : undefined,
            }),
          ),
        };
  const { body: answer } = await api.call(endpoints.updateItem, { parts, body });
  const now = await readBack(async () => (await api.call(endpoints.item, { parts })).body);
  return applied({
    before,
    wanted,
    after: quantityIn(now),
    answer,
    more: { status: at(now, "status") },
  });
}

async function setProductStock(
  api: Api,
  input: Readonly<Record<string, unknown>>,
  { product, wanted }: { readonly product: string; readonly wanted: number },
) {
  const own = async () => {
    const { places, version } = await placesOf(api, product);
    return { place: places.find((each) => each.can_change), version };
  };
  const { place, version } = await own();
  if (place === undefined || version === undefined) {
    throw new ToolProblem(
      "rejected",
      "The stock of this listing is not kept at the seller's own address",
      {
        nextStep: "Stock in a warehouse or in Full cannot be changed here.",
      },
    );
  }
  expectSame("expected_quantity", input["expected_quantity"], place.quantity);
  await api.call(endpoints.updateStock, {
    parts: { user_product_id: product },
    headers: { "x-version": version },
    body: { quantity: wanted },
  });
  // The vendor does it a moment later.
  const after = (await readBack(own)).place?.quantity;
  if (after !== wanted) {
    return {
      before: place.quantity,
      after,
      applied: false,
      pending: true,
      warnings: ["It takes the vendor a moment: read the stock again."],
    };
  }
  return { before: place.quantity, after, applied: true, warnings: [] };
}

export const stockTools: readonly Tool[] = [getStock, updateStock];
