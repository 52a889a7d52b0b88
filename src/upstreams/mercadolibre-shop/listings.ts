import { createHash } from "node:crypto";
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
import { applied, expectSame, notApplied, readBack } from "./changes.ts";
import { at, compact, itemId, list, needed, number, text } from "./fields.ts";

const shownFields =
  "id,title,family_name,price,currency_id,available_quantity,sold_quantity,status,sub_status,permalink,variations,user_product_id,inventory_id,catalog_listing,tags";
const bulk = 20;

/** Several listings at once; each of those that are not there has its reason. */
export async function itemsOf(
  api: Api,
  ids: readonly string[],
  more: Readonly<Record<string, string>> = {},
) {
  const found: unknown[] = [];
  const failed: { readonly id: string; readonly http_status: number }[] = [];
  for (let start = 0; start < ids.length; start += bulk) {
    const some = ids.slice(start, start + bulk);
    const all = list(await bulkOf(api, some.join(","), more));
    // The outer 200 hides what each one came to.
    const statuses = all.map((each) => number(at(each, "status_code")) ?? number(at(each, "code")));
    found.push(
      ...all.filter((_, place) => statuses[place] === 200).map((each) => at(each, "body")),
    );
    const bad = some.map((id, place) => ({ id, http_status: statuses[place] ?? 0 }));
    failed.push(...bad.filter(({ http_status: status }) => status !== 200));
  }
  return { found, failed };
}

/** In the form of today; where that is not there yet, or not any more, in the one before. */
async function bulkOf(api: Api, ids: string, more: Readonly<Record<string, string>>) {
  const fields = shownFields.split(",");
  const attributes = fields.map((name) => `body.${name}`).join(",");
  const query = { ids, attributes, ...more };
  const { status, body } = await api.call(endpoints.items, {
    query,
    fine: [404, 410],
    gone: [404, 410],
  });
  if (status < 400) return body;
  const before = { ids, attributes: shownFields, ...more };
  return (await api.call(endpoints.itemsBefore, { query: before })).body;
}

function listingOf(item: unknown, more: object = {}): object {
  return compact({
    item_id: text(at(item, "id")),
    title: at(item, "title") ?? at(item, "family_name"),
    price: at(item, "price"),
    currency: at(item, "currency_id"),
    quantity: at(item, "available_quantity"),
    sold: at(item, "sold_quantity"),
    status: at(item, "status"),
    sub_status: at(item, "sub_status"),
    catalog: at(item, "catalog_listing") === true ? true : undefined,
    link: at(item, "permalink"),
    ...more,
  });
}

const sorts: Readonly<Record<string, string>> = {
  newest: "start_time_desc",
  oldest: "start_time_asc",
  price: "price_asc",
  stock: "available_quantity_asc",
};

const listListings: Tool = {
  name: "list_listings",
  title: { es: "Publicaciones propias", pt: "Anúncios próprios", en: "List own listings" },
  description:
    "The seller's listings (publicaciones) by status, SKU or label (few_available: low on stock), with price and stock. At most 50 a page; follow next_cursor for the rest.",
  input: objectOf({
    status: { type: "string", enum: ["active", "paused", "closed", "pending"], default: "active" },
    sku: { type: "string", minLength: 1, maxLength: 100 },
    label: { type: "string", enum: ["without_stock", "few_available"] },
    sort: { type: "string", enum: Object.keys(sorts), default: "newest" },
    ...paging,
  }),
  output: answerOf(["rows", "returned", "total", "truncated"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const { id } = await api.seller();
    const filters = filtersOf("list_listings", input, ["status", "sku", "label", "sort"]);
    const offset = offsetOf(input, filters);
    const { body, isPartial } = await api.call(endpoints.searchItems, {
      parts: { seller: id },
      query: {
        status: text(input["status"]),
        seller_sku: text(input["sku"]),
        labels: text(input["label"]),
        orders: sorts[text(input["sort"]) ?? ""],
        offset,
        limit: number(input["limit"]),
      },
    });
    const ids = needed(at(body, "results")).flatMap((each) => text(each) ?? []);
    const { found, failed } = await itemsOf(api, ids);
    const items = new Map(found.map((item) => [text(at(item, "id")), item]));
    const reasons = new Map(failed.map((each) => [each.id, each]));
    // A row for each that was found, also where it cannot be read: the next page begins behind them.
    const rows = ids.map((id) => {
      const item = items.get(id);
      return item === undefined
        ? { item_id: id, unreadable: reasons.get(id)?.http_status ?? 0 }
        : listingOf(item);
    });
    const total = number(at(body, "paging", "total")) ?? ids.length;
    return { ...pageOf(rows, { offset, total, filters }), partial: isPartial };
  },
};

const mostVariations = 50;

function variationOf(variation: unknown): object {
  const names = list(at(variation, "attribute_combinations")).map((each) => at(each, "value_name"));
  return compact({
    variation_id: text(at(variation, "id")),
    combination: names.filter((name) => typeof name === "string").join(" / "),
    price: at(variation, "price"),
    quantity: at(variation, "available_quantity"),
    sku: at(variation, "seller_custom_field"),
  });
}

const getListings: Tool = {
  name: "get_listings",
  title: { es: "Ver publicaciones", pt: "Ver anúncios", en: "Get listings" },
  description: "Details of own listings, with their variations. 1 to 20 ids.",
  input: objectOf(
    { item_ids: { type: "array", items: itemId, minItems: 1, maxItems: bulk, uniqueItems: true } },
    ["item_ids"],
  ),
  output: answerOf(["rows"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const ids = list(input["item_ids"]).map(String);
    const { found, failed } = await itemsOf(api, ids, { include_attributes: "all" });
    const rows = found.map((item) => {
      const variations = list(at(item, "variations"));
      return listingOf(item, {
        user_product_id: text(at(item, "user_product_id")),
        variations:
          variations.length === 0
            ? undefined
            : variations.slice(0, mostVariations).map(variationOf),
        variations_cut: variations.length > mostVariations ? variations.length : undefined,
      });
    });
    if (rows.length === 0) {
      throw new ToolProblem("not_found", "None of these listings can be read", { current: failed });
    }
    return { rows, failed };
  },
};

const getDescription: Tool = {
  name: "get_listing_description",
  title: { es: "Texto de una publicación", pt: "Texto de um anúncio", en: "Listing text" },
  description: "The plain text under a listing, with its hash. At most 20000 characters.",
  input: objectOf(
    {
      item_id: itemId,
      max_chars: { type: "integer", minimum: 200, maximum: 20_000, default: 4000 },
    },
    ["item_id"],
  ),
  output: answerOf(["exists"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const written = await descriptionOf(api, text(input["item_id"]) ?? "");
    if (written === undefined) return { exists: false };
    const most = number(input["max_chars"]) ?? 4000;
    return {
      exists: true,
      text: cut(written, most),
      characters: written.length,
      hash: hashOf(written),
    };
  },
};

async function descriptionOf(api: Api, id: string): Promise<string | undefined> {
  const { status, body } = await api.call(endpoints.description, {
    parts: { item_id: id },
    fine: [404],
  });
  return status === 404 ? undefined : (text(at(body, "plain_text")) ?? "");
}

/** Line ends and space at the ends are the vendor's. */
const plain = (written: string | undefined) => written?.replace(/\r\n?/g, "\n").trim();
const hashOf = (written: string) => createHash("sha256").update(written).digest("hex").slice(0, 16);

const getQuality: Tool = {
  name: "get_listing_quality",
  title: { es: "Calidad de una publicación", pt: "Qualidade de um anúncio", en: "Listing quality" },
  description:
    "Quality score of one listing, what to improve, and why Mercado Libre moderated it, if it did.",
  input: objectOf({ item_id: itemId }, ["item_id"]),
  output: answerOf(["computed"]),
  effect: "reading",
  isIdempotent: true,
  async run(api, input) {
    const parts = { item_id: text(input["item_id"]) ?? "" };
    const [quality, moderation] = await Promise.all([
      api.call(endpoints.performance, { parts, fine: [404] }),
      api.call(endpoints.moderation, { parts, fine: [404] }),
    ]);
    const open = list(at(quality.body, "buckets")).flatMap((bucket) =>
      list(at(bucket, "variables")).filter((each) => at(each, "status") !== "COMPLETED"),
    );
    return compact({
      computed: quality.status !== 404,
      score: at(quality.body, "score"),
      level: at(quality.body, "level_wording") ?? at(quality.body, "level"),
      to_improve: open.slice(0, 20).map((each) => at(each, "title")),
      moderated: moderation.status === 404 ? undefined : at(moderation.body, "reason"),
      remedy: moderation.status === 404 ? undefined : at(moderation.body, "remedy"),
    });
  },
};

const setStatus: Tool = {
  name: "set_listing_status",
  title: {
    es: "Pausar o activar una publicación",
    pt: "Pausar ou ativar um anúncio",
    en: "Pause or activate a listing",
  },
  description:
    "Pauses or reactivates one listing. `expected_status` is what the person saw. One without stock stays paused.",
  input: objectOf(
    {
      item_id: itemId,
      status: { type: "string", enum: ["active", "paused"] },
      expected_status: { type: "string", enum: ["active", "paused"] },
    },
    ["item_id", "status", "expected_status"],
  ),
  output: answerOf(["before", "after", "applied"]),
  effect: "writing",
  isIdempotent: true,
  asks: {
    es: "Cambiar el estado de esta publicación:",
    pt: "Mudar o estado deste anúncio:",
    en: "Change the status of this listing:",
  },
  async run(api, input) {
    const parts = { item_id: text(input["item_id"]) ?? "" };
    const read = async () => (await api.call(endpoints.item, { parts })).body;
    const before = at(await read(), "status");
    expectSame("expected_status", input["expected_status"], before);
    const { body } = await api.call(endpoints.updateItem, {
      parts,
      body: { status: input["status"] },
    });
    const now = await readBack(read);
    return applied({
      before,
      wanted: input["status"],
      after: at(now, "status"),
      answer: body,
      more: { sub_status: at(now, "sub_status") },
    });
  },
};

const updateDescription: Tool = {
  name: "update_listing_description",
  title: {
    es: "Reemplazar el texto de una publicación",
    pt: "Substituir o texto de um anúncio",
    en: "Replace a listing's text",
  },
  description:
    "Replaces the whole description with plain text. `expected_hash` is the hash of the text that the person saw; leave it out only where there is none. 1 to 15000 characters: a person has to be able to read it.",
  input: objectOf(
    {
      item_id: itemId,
      plain_text: { type: "string", minLength: 1, maxLength: 15_000 },
      expected_hash: { type: "string", pattern: "^[0-9a-f]{16}$" },
    },
    ["item_id", "plain_text"],
  ),
  output: answerOf(["applied"]),
  effect: "destructive",
  isIdempotent: true,
  isOnceOnly: true,
  asks: {
    es: "Reemplazar todo el texto de esta publicación:",
    pt: "Substituir todo o texto deste anúncio:",
    en: "Replace the whole text of this listing:",
  },
  async run(api, input) {
    const id = text(input["item_id"]) ?? "";
    const before = await descriptionOf(api, id);
    expectSame(
      "expected_hash",
      input["expected_hash"],
      before === undefined ? undefined : hashOf(before),
    );
    const wanted = text(input["plain_text"]) ?? "";
    await api.call(
      before === undefined ? endpoints.createDescription : endpoints.updateDescription,
      {
        parts: { item_id: id },
        body: { plain_text: wanted },
      },
    );
    const after = await readBack(() => descriptionOf(api, id));
    if (plain(after) !== plain(wanted)) {
      throw notApplied(cut(after, 500), { isChanged: after !== before });
    }
    return compact({
      before: cut(before, 500),
      hash: hashOf(after ?? ""),
      applied: true,
      warnings: [],
    });
  },
};

export const listingTools: readonly Tool[] = [
  listListings,
  getListings,
  getDescription,
  getQuality,
  setStatus,
  updateDescription,
];
