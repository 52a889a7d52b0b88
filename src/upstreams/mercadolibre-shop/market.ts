import type { Api } from "../tools/api.ts";
import { ToolProblem } from "../tools/problem.ts";
import { type Tool, answerOf, cut, objectOf } from "../tools/tool.ts";
import { endpoints } from "./endpoints.ts";
import { at, categoryId, compact, itemId, list, needed, number, text } from "./fields.ts";

const getVisits: Tool = {
  name: "get_visits",
  title: { es: "Visitas", pt: "Visitas", en: "Visits" },
  description: "Visits of the account, or of one listing, by day. 1 to 150 days.",
  input: objectOf({
    item_id: itemId,
    last_days: { type: "integer", minimum: 1, maximum: 150, default: 30 },
  }),
  output: answerOf(["total", "days"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { id } = await api.seller();
    const item = text(input["item_id"]);
    const query = { last: number(input["last_days"]), unit: "day" };
    const { body } =
      item === undefined
        ? await api.call(endpoints.visits, { parts: { seller: id }, query })
        : await api.call(endpoints.itemVisits, { parts: { item_id: item }, query });
    const days = needed(at(body, "results")).map((each) => ({
      day: text(at(each, "date"))?.slice(0, 10),
      visits: at(each, "total"),
    }));
    return { total: at(body, "total_visits") ?? 0, days };
  },
};

type Research = {
  readonly api: Api;
  readonly site: string;
  readonly limit: number;
  /** Failures: `invalid_argument` where it was not given. */
  readonly need: (name: "query" | "category_id") => string;
};

const research: Readonly<Record<string, (asked: Research) => Promise<readonly object[]>>> = {
  async category({ api, site, need, limit }) {
    const query = { q: need("query"), limit: Math.min(limit, 8) };
    const { body } = await api.call(endpoints.predictCategory, { parts: { site }, query });
    return needed(body).map((each) =>
      compact({
        category_id: at(each, "category_id"),
        name: at(each, "category_name"),
        domain: at(each, "domain_name"),
      }),
    );
  },
  async attributes({ api, need }) {
    const parts = { category_id: need("category_id") };
    const { body } = await api.call(endpoints.categoryAttributes, { parts });
    const required = needed(body).filter((each) =>
      ["required", "catalog_required"].some((tag) => at(each, "tags", tag) === true),
    );
    return required.map((each) => {
      const values = list(at(each, "values")).slice(0, 15);
      return compact({
        attribute_id: at(each, "id"),
        name: at(each, "name"),
        values: values.map((value) => at(value, "name")),
      });
    });
  },
  async catalog({ api, site, need, limit }) {
    const query = { site_id: site, q: need("query"), status: "active", limit };
    const { body } = await api.call(endpoints.catalog, { query });
    return needed(at(body, "results")).map((each) =>
      compact({ product_id: text(at(each, "id")), untrusted_text: cut(at(each, "name"), 200) }),
    );
  },
  async trends({ api, site }) {
    const { body } = await api.call(endpoints.trends, { parts: { site } });
    return needed(body).map((each) => compact({ untrusted_text: cut(at(each, "keyword"), 200) }));
  },
  /** A category without a list answers 404. */
  async best_sellers({ api, site, need }) {
    const parts = { site, category_id: need("category_id") };
    const { body } = await api.call(endpoints.bestSellers, { parts, fine: [404] });
    return needed(at(body, "content")).map((each) =>
      compact({ id: text(at(each, "id")), position: at(each, "position"), type: at(each, "type") }),
    );
  },
};

const researchMarket: Tool = {
  name: "research_market",
  title: {
    es: "Categoría, catálogo y tendencias",
    pt: "Categoria, catálogo e tendências",
    en: "Category, catalog and trends",
  },
  description:
    "The category of a product (`category`), its required attributes (`attributes`), catalog products (`catalog`), what buyers look for (`trends`), or the best sellers of a category (`best_sellers`). 1 to 20 rows.",
  input: objectOf(
    {
      kind: { type: "string", enum: Object.keys(research) },
      query: { type: "string", minLength: 1, maxLength: 200 },
      category_id: categoryId,
      limit: { type: "integer", minimum: 1, maximum: 20, default: 8 },
    },
    ["kind"],
  ),
  output: answerOf(["rows"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { site } = await api.seller();
    const kind = text(input["kind"]) ?? "";
    const need = (name: "query" | "category_id") => {
      const value = text(input[name]);
      if (value !== undefined) return value;
      throw new ToolProblem("invalid_argument", `${kind} needs ${name}`, { field: name });
    };
    const limit = number(input["limit"]) ?? 8;
    const rows = (await research[kind]?.({ api, site, need, limit })) ?? [];
    return { rows: rows.slice(0, limit) };
  },
};

const getReport: Tool = {
  name: "get_business_report",
  title: {
    es: "Facturación y publicidad",
    pt: "Faturamento e publicidade",
    en: "Billing periods and advertising",
  },
  description:
    "Billing periods with their amounts (`billing`), or whether advertising is switched on for the account (`ads`). At most 12 periods.",
  input: objectOf({ kind: { type: "string", enum: ["billing", "ads"] } }, ["kind"]),
  output: answerOf(["rows"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    if (input["kind"] === "ads") {
      const { status, body } = await api.call(endpoints.advertisers, {
        query: { product_id: "PADS" },
        fine: [404],
      });
      // 404 means that the product is not switched on.
      const rows = status === 404 ? [] : list(at(body, "advertisers"));
      return {
        rows: rows.map((each) =>
          compact({
            advertiser_id: text(at(each, "advertiser_id")),
            name: at(each, "advertiser_name"),
            site: at(each, "site_id"),
          }),
        ),
      };
    }
    const { body } = await api.call(endpoints.billingPeriods, {
      query: { group: "ML", document_type: "BILL", limit: 12 },
    });
    return {
      rows: list(at(body, "results"))
        .slice(0, 12)
        .map((each) =>
          compact({
            period: at(each, "key"),
            amount: at(each, "amount"),
            unpaid: at(each, "unpaid_amount"),
            status: at(each, "period_status"),
          }),
        ),
    };
  },
};

export const marketTools: readonly Tool[] = [getVisits, researchMarket, getReport];
