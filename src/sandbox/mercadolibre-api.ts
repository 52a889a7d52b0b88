import { isObject } from "#src/json.ts";
import type { Seller } from "./sellers.ts";
import { listingRoutes } from "./mercadolibre-listings.ts";
import { saleRoutes } from "./mercadolibre-sales.ts";
import { type Shop, openShop } from "./mercadolibre-data.ts";
import { problem } from "./mercadolibre-route.ts";

/** The REST side of the simulated Mercado Libre: what the pack's tools ask, with the vendor's own ways. */
export type SimulatedApi = {
  /** Answers for whoever `holder` says the request is from. `path` is without the base. */
  fetch(request: Request, path: string): Promise<Response>;
  /** What has been asked, in order: `GET /items/bulk`. */
  readonly asked: string[];
  /** The next answers, in place of what would be said. */
  readonly faults: ((request: Request) => Promise<Response> | Response | undefined)[];
  shopOf(id: string): Shop;
};

const routes = [...listingRoutes, ...saleRoutes];

/** @param now Milliseconds. */
export function simulateApi(
  holder: (request: Request) => Seller | undefined,
  now: () => number,
): SimulatedApi {
  const shops = new Map<string, Shop>();
  const asked: string[] = [];
  const faults: SimulatedApi["faults"] = [];
  const shopOf = (seller: Seller) => {
    const known = shops.get(seller.id) ?? openShop(seller, now());
    shops.set(seller.id, known);
    return known;
  };
  return {
    asked,
    faults,
    shopOf: (id) => shopOf({ id, name: "", site: "MLA" }),
    async fetch(request, path) {
      asked.push(`${request.method} ${path}`);
      const fault = await faults.shift()?.(request);
      if (fault !== undefined) return fault;
      const seller = holder(request);
      if (seller === undefined)
        return problem(401, "invalid access token", { code: "unauthorized" });
      const query = new URL(request.url).searchParams;
      const given: unknown = request.method === "GET" ? {} : await request.json().catch(() => ({}));
      const body = isObject(given) ? given : {};
      for (const [pattern, answer] of routes) {
        const parts = pattern.exec(`${request.method} ${path}`);
        if (parts === null) continue;
        return answer({
          seller,
          shop: shopOf(seller),
          query,
          request,
          parts: parts.slice(1),
          body,
          now: now(),
        });
      }
      return problem(404, `resource ${path} not found`);
    },
  };
}
