import type { Seller } from "./sellers.ts";
import type { Shop } from "./mercadolibre-data.ts";

/** One request to the simulated API, with the shop of whoever asks. */
export type ApiCall = {
  readonly seller: Seller;
  readonly shop: Shop;
  readonly query: URLSearchParams;
  readonly request: Request;
  readonly parts: readonly string[];
  readonly body: Readonly<Record<string, unknown>>;
  readonly now: number;
};
export type Route = readonly [pattern: RegExp, answer: (visit: ApiCall) => Response];

export const pages = (visit: ApiCall) => {
  const read = (name: string, standard: number) => Number(visit.query.get(name) ?? standard);
  return { offset: read("offset", 0), limit: Math.min(read("limit", 50), 50) };
};

export function json(
  body: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  // An id above 2^53, as the vendor writes them: no double holds it.
  const text = JSON.stringify(body).replaceAll('"__BIG__"', "903719925474099123");
  return new Response(text, {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

export function problem(status: number, words: string, more: object = {}): Response {
  return json(
    {
      message: words,
      error: status === 404 ? "not_found" : "bad_request",
      status,
      cause: [],
      ...more,
    },
    status,
  );
}
