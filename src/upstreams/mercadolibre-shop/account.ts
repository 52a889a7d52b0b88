import { type Tool, answerOf, objectOf } from "../tools/tool.ts";
import { endpoints } from "./endpoints.ts";
import { at, compact, list, text } from "./fields.ts";

const flags = new Set([
  "user_product_seller",
  "warehouse_management",
  "multiwarehouse",
  "business",
  "test_user",
]);

const getAccount: Tool = {
  name: "get_account",
  title: { es: "Cuenta de vendedor", pt: "Conta de vendedor", en: "Seller account" },
  description:
    "Who this connection sells as, on which country site, and which stock and listing model applies. Call it first.",
  input: objectOf({}),
  output: answerOf(["id", "site"]),
  effect: "reading",
  isIdempotent: true,
  async run(api) {
    const { id, site, body } = await api.seller();
    const tags = list(body["tags"]).filter((tag) => flags.has(String(tag)));
    return compact({
      id,
      site,
      nickname: body["nickname"],
      country: body["country_id"],
      currency: currencies[site],
      user_products: tags.includes("user_product_seller"),
      multi_origin_stock: tags.includes("warehouse_management"),
      flags: tags,
    });
  },
};

/** Of the sites that sellers of this gateway come from; others are told by their listings. */
const currencies: Readonly<Record<string, string>> = {
  MLA: "ARS",
  MLB: "BRL",
  MLM: "MXN",
  MLC: "CLP",
  MCO: "COP",
  MLU: "UYU",
  MPE: "PEN",
};

const getReputation: Tool = {
  name: "get_reputation",
  title: { es: "Reputación", pt: "Reputação", en: "Seller reputation" },
  description:
    "Reputation colour, MercadoLíder level, and the rates of claims, cancellations and late shipments with their periods. `partial` is true when Mercado Libre left something out.",
  input: objectOf({}),
  output: answerOf(["partial"]),
  effect: "reading",
  isIdempotent: true,
  async run(api) {
    const { id } = await api.seller();
    const [me, response] = await Promise.all([
      api.call(endpoints.me),
      api.call(endpoints.responseTime, { parts: { seller: id }, fine: [404] }),
    ]);
    const reputation = at(me.body, "seller_reputation");
    const rate = (name: string) =>
      compact({
        rate: at(reputation, "metrics", name, "rate"),
        count: at(reputation, "metrics", name, "value"),
        period: at(reputation, "metrics", name, "period"),
      });
    return compact({
      level: at(reputation, "level_id"),
      power_seller: at(reputation, "power_seller_status"),
      protected_until: at(reputation, "protection_end_date"),
      completed_sales: at(reputation, "transactions", "completed"),
      claims: rate("claims"),
      cancellations: rate("cancellations"),
      late_shipments: rate("delayed_handling_time"),
      answers_in_minutes: text(at(response.body, "total", "response_time")),
      partial: me.isPartial,
    });
  },
};

export const accountTools: readonly Tool[] = [getAccount, getReputation];
