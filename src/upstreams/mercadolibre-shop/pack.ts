import type { Pack, Tool } from "../tools/tool.ts";
import { isObject } from "#src/json.ts";
import { accountTools } from "./account.ts";
import { claimTools } from "./claims.ts";
import { endpoints, idPatterns } from "./endpoints.ts";
import { at, text } from "./fields.ts";
import { listingTools } from "./listings.ts";
import { marketTools } from "./market.ts";
import { priceTools } from "./prices.ts";
import { promotionTools } from "./promotions.ts";
import { saleTools } from "./sales.ts";
import { stockTools } from "./stock.ts";
import { conversationTools } from "./conversations.ts";

const tools: readonly Tool[] = [
  ...accountTools,
  ...listingTools,
  ...priceTools,
  ...stockTools,
  ...promotionTools,
  ...saleTools,
  ...conversationTools,
  ...claimTools,
  ...marketTools,
];

/** Tools over Mercado Libre's API, for the seller whose account the call is made with. */
export const mercadolibreShop: Pack = {
  name: "mercadolibre-shop",
  idPatterns,
  // Documented: 500 and 100.
  perMinute: { messages: 450, stock: 90 },
  whoAmI: {
    endpoint: endpoints.me,
    read(body) {
      const [id, site] = [text(at(body, "id")) ?? "", text(at(body, "site_id")) ?? ""];
      const isKnown = idPatterns.seller.test(id) && idPatterns.site.test(site);
      return isKnown && isObject(body) ? { id, site, body } : undefined;
    },
  },
  instructions:
    "Tools over one seller's shop at Mercado Libre. Begin with get_account. Ids are text. What changes something asks the person first: show them the link, wait, and call again with exactly the same arguments. An error has a code and says what to do next; do not repeat a call that was refused.",
  tools,
};

/** What an operator lets agents do: reading alone, or also what sells. */
export const shopProfiles: Readonly<Record<"read" | "sell", readonly string[]>> = {
  read: tools.filter(({ effect }) => effect === "reading").map(({ name }) => name),
  sell: tools.map(({ name }) => name),
};
