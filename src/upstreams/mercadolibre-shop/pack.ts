import type { Pack, Tool } from "../tools/tool.ts";
import { accountTools } from "./account.ts";
import { claimTools } from "./claims.ts";
import { listingTools } from "./listings.ts";
import { marketTools } from "./market.ts";
import { priceTools } from "./prices.ts";
import { saleTools } from "./sales.ts";
import { talkTools } from "./talks.ts";

const tools: readonly Tool[] = [
  ...accountTools,
  ...listingTools,
  ...priceTools,
  ...saleTools,
  ...talkTools,
  ...claimTools,
  ...marketTools,
];

/** Tools over Mercado Libre's API, for the seller whose account the call is made with. */
export const mercadolibreShop: Pack = {
  name: "mercadolibre-shop",
  instructions:
    "Tools over one seller's shop at Mercado Libre. Begin with get_account. Ids are text. What changes something asks the person first: show them the link, wait, and call again with exactly the same arguments. An error has a code and says what to do next; do not repeat a call that was refused.",
  tools,
};

/** What an operator lets agents do: reading alone, or also what sells. */
export const shopProfiles: Readonly<Record<"read" | "sell", readonly string[]>> = {
  read: tools.filter(({ effect }) => effect === "reading").map(({ name }) => name),
  sell: tools.map(({ name }) => name),
};
