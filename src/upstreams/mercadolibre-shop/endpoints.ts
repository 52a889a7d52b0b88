import type { Endpoint } from "../tools/api.ts";

/** How ids are written. A part of a path that is not written so never reaches the API. */
export const idPatterns = {
  item_id: /^M[A-Z]{2}\d{4,14}$/,
  user_product_id: /^M[A-Z]{2}U\d{4,14}$/,
  inventory_id: /^[A-Z0-9]{1,40}$/,
  promotion_id: /^[A-Z][A-Z0-9-]{1,40}$/,
  site: /^M[A-Z]{2}$/,
  category_id: /^M[A-Z]{2}\d{1,12}$/,
  // One way to write each: what may be sent once only is known by it.
  seller: /^[1-9]\d{0,19}$/,
  id: /^[1-9]\d{0,19}$/,
} as const satisfies Readonly<Record<string, RegExp>>;

const get = (path: string, family: string, more: Partial<Endpoint> = {}): Endpoint => ({
  method: "GET",
  path,
  family,
  ...more,
});

const v4 = { query: { api_version: "4" } };
const sale = { query: { tag: "post_sale" } };
const promotions = { query: { app_version: "v2" } };
const newFormat = { headers: { "x-format-new": "true" } };

/** Every endpoint that the pack uses, with what each wants always. */
export const endpoints = {
  me: get("/users/me", "users"),
  responseTime: get("/users/{seller}/questions/response_time", "questions"),
  searchItems: get("/users/{seller}/items/search", "items"),
  items: get("/items/bulk", "items"),
  itemsBefore: get("/items", "items"),
  item: get("/items/{item_id}", "items"),
  description: get("/items/{item_id}/description", "items"),
  performance: get("/item/{item_id}/performance", "items"),
  moderation: get("/moderations/last_moderation/{item_id}-ITM", "items"),
  userProductStock: get("/user-products/{user_product_id}/stock", "stock"),
  fulfillmentStock: get("/inventories/{inventory_id}/stock/fulfillment", "stock"),
  salePrice: get("/items/{item_id}/sale_price", "prices", {
    query: { context: "channel_marketplace" },
  }),
  priceToWin: get("/items/{item_id}/price_to_win", "prices", { query: { version: "v2" } }),
  reference: get("/suggestions/items/{item_id}/details", "prices"),
  automation: get("/pricing-automation/items/{item_id}/rules", "prices"),
  listingPrices: get("/sites/{site}/listing_prices", "prices"),
  visits: get("/users/{seller}/items_visits/time_window", "visits"),
  itemVisits: get("/items/{item_id}/visits/time_window", "visits"),
  orders: get("/orders/search", "orders"),
  order: get("/orders/{id}", "orders"),
  pack: get("/packs/{id}", "orders"),
  discounts: get("/orders/{id}/discounts", "orders"),
  shipment: get("/shipments/{id}", "shipments", newFormat),
  shipmentSla: get("/shipments/{id}/sla", "shipments", newFormat),
  shipmentDelays: get("/shipments/{id}/delays", "shipments", newFormat),
  shipmentCosts: get("/shipments/{id}/costs", "shipments", newFormat),
  shipmentHistory: get("/shipments/{id}/history", "shipments", newFormat),
  labels: get("/shipment_labels", "shipments", { accept: "*/*" }),
  questions: get("/questions/search", "questions", v4),
  question: get("/questions/{id}", "questions", v4),
  unread: get("/messages/unread", "messages", { query: { tag: "post_sale", role: "seller" } }),
  // A plain GET would mark them as read.
  conversation: get("/messages/packs/{id}/sellers/{seller}", "messages", {
    query: { tag: "post_sale", mark_as_read: "false" },
  }),
  conversationOptions: get("/messages/action_guide/packs/{id}", "messages", sale),
  claims: get("/post-purchase/v1/claims/search", "claims"),
  claim: get("/post-purchase/v1/claims/{id}", "claims"),
  claimDetail: get("/post-purchase/v1/claims/{id}/detail", "claims"),
  claimMessages: get("/post-purchase/v1/claims/{id}/messages", "claims"),
  claimResolutions: get("/post-purchase/v1/claims/{id}/expected-resolutions", "claims"),
  claimReturn: get("/post-purchase/v2/claims/{id}/returns", "claims"),
  promotions: get("/seller-promotions/users/{seller}", "promotions", promotions),
  promotionItems: get(
    "/seller-promotions/promotions/{promotion_id}/items",
    "promotions",
    promotions,
  ),
  itemPromotions: get("/seller-promotions/items/{item_id}", "promotions", promotions),
  predictCategory: get("/sites/{site}/domain_discovery/search", "market"),
  categoryAttributes: get("/categories/{category_id}/attributes", "market"),
  catalog: get("/products/search", "market"),
  trends: get("/trends/{site}", "market"),
  bestSellers: get("/highlights/{site}/category/{category_id}", "market"),
  billingPeriods: get("/billing/integration/monthly/periods", "billing"),
  advertisers: get("/advertising/advertisers", "ads", { headers: { "api-version": "1" } }),

  updateItem: { method: "PUT", path: "/items/{item_id}", family: "items" },
  updateStock: {
    method: "PUT",
    path: "/user-products/{user_product_id}/stock/type/selling_address",
    family: "stock",
  },
  updateWarehouseStock: {
    method: "PUT",
    path: "/user-products/{user_product_id}/stock/type/seller_warehouse",
    family: "stock",
  },
  createDescription: { method: "POST", path: "/items/{item_id}/description", family: "items" },
  updateDescription: {
    method: "PUT",
    path: "/items/{item_id}/description",
    query: { api_version: "2" },
    family: "items",
  },
  answer: { method: "POST", path: "/answers", family: "questions" },
  sendMessage: {
    method: "POST",
    path: "/messages/packs/{id}/sellers/{seller}",
    ...sale,
    family: "messages",
  },
  openConversation: {
    method: "POST",
    path: "/messages/action_guide/packs/{id}/option",
    ...sale,
    family: "messages",
  },
  sendClaimMessage: {
    method: "POST",
    path: "/post-purchase/v1/claims/{id}/actions/send-message",
    family: "claims",
  },
  createDiscount: {
    method: "POST",
    path: "/seller-promotions/items/{item_id}",
    ...promotions,
    family: "promotions",
  },
  removeDiscount: {
    method: "DELETE",
    path: "/seller-promotions/items/{item_id}",
    ...promotions,
    family: "promotions",
  },
} as const satisfies Readonly<Record<string, Endpoint>>;
