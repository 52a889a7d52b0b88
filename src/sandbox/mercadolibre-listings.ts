import { isObject } from "#src/json.ts";
import type { Item } from "./mercadolibre-data.ts";
import { type Route, type ApiCall, json, pages, problem } from "./mercadolibre-route.ts";

function ownItem({ shop, parts }: ApiCall, work: (item: Item) => Response): Response {
  const item = shop.items.get(parts[0] ?? "");
  return item === undefined ? problem(404, "item not found") : work(item);
}

/** As the API shows it. */
function shown(item: Item): object {
  return { ...item, description: undefined, isAutomated: undefined };
}

function putItem({ body }: ApiCall, item: Item): Response {
  const { price, available_quantity: quantity, status, variations } = body;
  if (typeof price === "number") {
    if (item.isAutomated) return problem(400, "item.price.not_modifiable");
    item.price = price;
  }
  if (typeof quantity === "number") {
    // Stock of user products is not changed here: 200, and nothing happens.
    if (item.user_product_id !== undefined)
      return json({ ...shown(item), warnings: [{ message: "available_quantity was ignored" }] });
    item.available_quantity = quantity;
    item.status = quantity === 0 ? "paused" : item.status;
  }
  if (typeof status === "string")
    item.status = item.available_quantity === 0 && status === "active" ? "paused" : status;
  if (Array.isArray(variations)) putVariations(item, variations);
  return json(shown(item));
}

/** Whatever is not named is deleted, as it is there. */
function putVariations(
  item: Item,
  given: readonly { id: number; price?: number; available_quantity?: number }[],
): void {
  item.variations = item.variations.flatMap((each) => {
    const change = given.find(({ id }) => id === each.id);
    return change === undefined ? [] : [{ ...each, ...change }];
  });
  item.price = item.variations[0]?.price ?? item.price;
}

/** The account, its listings, their stock and prices. */
export const listingRoutes: readonly Route[] = [
  [
    /^GET \/users\/me$/,
    ({ seller }) =>
      json({
        id: Number(seller.id),
        nickname: seller.name,
        site_id: seller.site,
        country_id: seller.site === "MLB" ? "BR" : "AR",
        email: "private@example.com",
        phone: { number: "555" },
        tags: ["normal", "user_product_seller"],
        seller_reputation: {
          level_id: "5_green",
          power_seller_status: "gold",
          transactions: { completed: 320 },
          metrics: {
            claims: { rate: 0.004, value: 2, period: "60 days" },
            cancellations: { rate: 0.002, value: 1, period: "60 days" },
            delayed_handling_time: { rate: 0.01, value: 4, period: "60 days" },
          },
        },
      }),
  ],
  [/^GET \/users\/\d+\/questions\/response_time$/, () => json({ total: { response_time: 42 } })],
  [
    /^GET \/users\/(\d+)\/items\/search$/,
    (visit) => {
      const { offset, limit } = pages(visit);
      const [status, sku] = [visit.query.get("status"), visit.query.get("seller_sku")];
      const found = [...visit.shop.items.values()].filter(
        (item) =>
          (status === null || item.status === status) &&
          (sku === null || item.seller_custom_field === sku),
      );
      const results = found.slice(offset, offset + limit).map(({ id }) => id);
      return json({ results, paging: { total: found.length, offset, limit } });
    },
  ],
  [
    /^GET \/items\/bulk$/,
    ({ shop, query }) => {
      const ids = (query.get("ids") ?? "").split(",");
      if (ids.length > 20) return problem(400, "too many ids");
      return json(
        ids.map((id) => {
          const item = shop.items.get(id);
          return item === undefined
            ? { status_code: 404, id, body: { message: "not found" } }
            : { status_code: 200, id, body: shown(item) };
        }),
      );
    },
  ],
  [/^GET \/items\/(\w+)$/, (visit) => ownItem(visit, (item) => json(shown(item)))],
  [/^PUT \/items\/(\w+)$/, (visit) => ownItem(visit, (item) => putItem(visit, item))],
  [
    /^GET \/items\/(\w+)\/description$/,
    (visit) =>
      ownItem(visit, ({ description }) =>
        description === undefined
          ? problem(404, "no description")
          : json({ plain_text: description }),
      ),
  ],
  [
    /^(?:POST|PUT) \/items\/(\w+)\/description$/,
    (visit) =>
      ownItem(visit, (item) => {
        item.description = String(visit.body["plain_text"]);
        return json({ plain_text: item.description });
      }),
  ],
  [
    /^GET \/item\/(\w+)\/performance$/,
    (visit) =>
      ownItem(visit, () =>
        json({
          score: 78,
          level_wording: "Profesional",
          buckets: [{ variables: [{ status: "PENDING", title: "Agrega un video" }] }],
        }),
      ),
  ],
  [
    /^GET \/user-products\/(\w+)\/stock$/,
    ({ shop, parts }) => {
      const known = shop.stock.get(parts[0] ?? "");
      if (known === undefined) return problem(404, "stock-locations not found");
      const locations = [
        {
          type: known.type,
          quantity: known.quantity,
          ...(known.type === "seller_warehouse" ? { store_id: 9001 } : {}),
        },
        { type: "meli_facility", quantity: 5 },
      ];
      return json({ locations }, 200, { "x-version": String(known.version) });
    },
  ],
  [
    /^PUT \/user-products\/(\w+)\/stock\/type\/(selling_address|seller_warehouse)$/,
    ({ shop, parts, request, body }) => {
      const known = shop.stock.get(parts[0] ?? "");
      if (known === undefined || known.type !== parts[1]) {
        return problem(404, "stock-locations not found");
      }
      const version = request.headers.get("x-version");
      if (version === null) return problem(400, "x-version is missing");
      if (version !== String(known.version)) return problem(409, "version mismatch");
      const [place] = Array.isArray(body["locations"]) ? body["locations"] : [body];
      known.quantity = Number(isObject(place) ? place["quantity"] : 0);
      known.version += 1;
      return new Response(null, { status: 204 });
    },
  ],
  [
    /^GET \/inventories\/(\w+)\/stock\/fulfillment$/,
    () => json({ total: 12, available_quantity: 10 }),
  ],
  [
    /^GET \/items\/(\w+)\/sale_price$/,
    (visit) =>
      ownItem(visit, ({ id, price, currency_id }) =>
        json({ amount: visit.shop.discounts.get(id) ?? price, regular_amount: price, currency_id }),
      ),
  ],
  [
    /^GET \/pricing-automation\/items\/(\w+)\/rules$/,
    (visit) =>
      ownItem(visit, ({ isAutomated }) =>
        isAutomated ? json({ rules: [{ rule_id: "INT" }] }) : problem(404, "no automation"),
      ),
  ],
  [/^GET \/items\/(\w+)\/price_to_win$/, () => problem(404, "item_not_opted_in")],
  [/^GET \/suggestions\/items\/(\w+)\/details$/, () => problem(404, "no suggestion")],
  [
    /^GET \/sites\/(\w+)\/listing_prices$/,
    ({ query }) => {
      const price = Number(query.get("price"));
      const fee = {
        listing_type_id: query.get("listing_type_id"),
        sale_fee_amount: Math.round(price * 0.13),
        currency_id: "ARS",
        sale_fee_details: { percentage_fee: 13, fixed_fee: 0 },
      };
      return json(query.has("listing_type_id") ? fee : [fee]);
    },
  ],
  [
    /^GET \/(?:users|items)\/\w+\/(?:items_)?visits\/time_window$/,
    ({ query, now }) => {
      const last = Number(query.get("last"));
      const results = Array.from({ length: last }, (_, index) => ({
        date: new Date(now - index * 86_400_000).toISOString(),
        total: 10 + (index % 7),
      }));
      return json({ total_visits: results.reduce((sum, { total }) => sum + total, 0), results });
    },
  ],
];
