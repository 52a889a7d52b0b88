import type { Api } from "../tools/api.ts";
import { ToolProblem } from "../tools/problem.ts";
import { type Input, type Tool, answerOf, objectOf } from "../tools/tool.ts";
import { endpoints } from "./endpoints.ts";
import { at, compact, digits, itemId, list, needed, number, text } from "./fields.ts";
import { applied, expectSame, readBack } from "./changes.ts";

const getStock: Tool = {
  name: "get_listing_stock",
  title: { es: "Stock por lugar", pt: "Estoque por lugar", en: "Stock by place" },
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
      places: places?.places.map((each) => compact(each)),
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
  const places = needed(at(body, "locations")).map((each) => ({
    type: text(at(each, "type")),
    store_id: text(at(each, "store_id")),
    quantity: at(each, "quantity"),
    can_change: at(each, "type") !== "meli_facility",
  }));
  return { places, version };
}

const updateStock: Tool = {
  name: "update_listing_stock",
  title: { es: "Cambiar el stock", pt: "Mudar o estoque", en: "Change stock" },
  description:
    "Sets the units of one listing, or of one of its variations. `expected_quantity` is what the person saw, `stock_version` the version of it where get_listing_stock names one; `location_type` and `store_id` say which place where there are several. 0 pauses the listing. From 0 to 99999.",
  input: objectOf(
    {
      item_id: itemId,
      variation_id: digits("variation"),
      location_type: { type: "string", enum: ["selling_address", "seller_warehouse"] },
      store_id: digits("store"),
      stock_version: { type: "string", minLength: 1, maxLength: 40 },
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

type ItemChange = {
  readonly parts: Readonly<Record<string, string>>;
  readonly item: unknown;
  readonly wanted: number;
};

async function setItemStock(api: Api, input: Input, { parts, item, wanted }: ItemChange) {
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
  input: Input,
  { product, wanted }: { readonly product: string; readonly wanted: number },
) {
  const own = async () => {
    const { places, version } = await placesOf(api, product);
    return { place: placeFor(places, input), version };
  };
  const { place, version } = await own();
  if (place === undefined || version === undefined) {
    throw new ToolProblem("rejected", "The stock of this listing is not kept at such a place", {
      nextStep: "get_listing_stock names the places, and which can be changed: Full cannot.",
    });
  }
  expectSame("expected_quantity", input["expected_quantity"], place.quantity);
  if (input["stock_version"] !== undefined) {
    expectSame("stock_version", input["stock_version"], version);
  }
  const isWarehouse = place.type === "seller_warehouse";
  await api.call(isWarehouse ? endpoints.updateWarehouseStock : endpoints.updateStock, {
    parts: { user_product_id: product },
    headers: { "x-version": version },
    body: isWarehouse
      ? { locations: [{ store_id: place.store_id, quantity: wanted }] }
      : { quantity: wanted },
  });
  const after = (await readBack(own)).place?.quantity;
  // The vendor does it a moment later.
  const warnings = ["It takes the vendor a moment: read the stock again."];
  if (after !== wanted) {
    return { before: place.quantity, after, applied: false, pending: true, warnings };
  }
  return { before: place.quantity, after, applied: true, warnings: [] };
}

type Place = Awaited<ReturnType<typeof placesOf>>["places"][number];

/** The place that is meant; the only one that can be changed where none is named. */
function placeFor(places: readonly Place[], input: Input): Place | undefined {
  const fitting = places.filter(
    ({ type, store_id: store, can_change: canChange }) =>
      canChange &&
      (input["location_type"] === undefined || type === input["location_type"]) &&
      (input["store_id"] === undefined || store === input["store_id"]),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}

export const stockTools: readonly Tool[] = [getStock, updateStock];
