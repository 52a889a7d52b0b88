import type { Environment } from "#src/config/read.ts";
import { authorizedAgent, formIn } from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { at } from "#src/upstreams/mercadolibre-shop/fields.ts";
import type { Shop } from "#src/sandbox/mercadolibre-data.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a call came to: data of the tool, a problem of it, or a failure of the gateway. */
export type Came = {
  readonly status: number;
  readonly data: Fields & { readonly rows: readonly Fields[]; readonly orders: readonly Fields[] };
  readonly isError: boolean;
  readonly code: string | undefined;
  readonly text: string;
};

export type OpenShop = AsyncDisposable & {
  readonly world: World;
  readonly url: string;
  readonly bearer: string;
  readonly shop: Shop;
  call(name: string, args?: Fields, bearer?: string, at?: string): Promise<Came>;
  /** Calls, says yes on the page, and calls again with the same. */
  allowed(name: string, args: Fields): Promise<Came>;
  answer(link: string, extent: string): Promise<Response>;
  page(link: string): Promise<string>;
};

export const sellerId = "100200300";

/** A gateway with the pack, and an agent that a person has let in. */
export async function openShop(environment: Environment = {}): Promise<OpenShop> {
  const world = await openWorld({
    environment: { MELI_SHOP_PROFILE: "sell", ...environment },
  });
  const agent = await authorizedAgent(world.url, {
    query: { resource: `${world.url}/mcp/mercadolibre-shop` },
  });
  const bearer = agent.tokens.access_token;
  const url = `${world.url}/mcp/mercadolibre-shop`;
  const answer = async (link: string, extent: string) => {
    const form = formIn(await (await agent.visitor.get(link)).text());
    return await agent.visitor.post(link, { form_token: form["form_token"] ?? "", extent });
  };
  const call = async (name: string, args: Fields = {}, as = bearer, where = url) =>
    await cameOf(await post(where, as, toolCall(name, args)));
  return {
    world,
    url,
    bearer,
    shop: world.sandbox.api.shopOf(sellerId),
    call,
    answer,
    page: async (link) => await (await agent.visitor.get(link)).text(),
    async allowed(name, args) {
      const first = await call(name, args);
      if (first.code !== "approval_needed") throw new Error(`${name}: ${first.text}`);
      await answer(linkIn(first.text), "once");
      return await call(name, args);
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

export function linkIn(text: string): string {
  return /https?:\/\/[^\s"\\]+\/approvals\/[0-9a-f-]{36}/.exec(text)?.[0] ?? "";
}

async function cameOf(response: Response): Promise<Came> {
  const text = await response.text();
  const body = parsed(text);
  const content = parsed(String(at(body, "result", "content", 0, "text")));
  const data = (at(body, "result", "structuredContent") ?? content) as Came["data"];
  const failure =
    at(body, "result", "_meta", "smartdash/failure", "code") ?? at(body, "error", "data", "code");
  const code = failure ?? data["code"];
  return {
    status: response.status,
    data,
    isError: at(body, "result", "isError") === true,
    code: typeof code === "string" ? code : undefined,
    text,
  };
}

function parsed(text: string): Fields {
  try {
    return JSON.parse(text) as Fields;
  } catch {
    return {};
  }
}
