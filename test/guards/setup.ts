import type { Environment } from "#src/config/read.ts";
import { type Beside, startBeside } from "#test/attacks/setup.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type ScriptedUpstream, scriptedUpstream } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";

type Arguments = Readonly<Record<string, unknown>>;

/** What an upstream offers; tests change it while it runs. */
export type Offer = {
  tools: Readonly<Record<string, unknown>>[];
  /** The result of a call of a tool, or a whole answer. */
  call: (name: string, args: Arguments) => unknown;
  /** A whole answer in place of the list. */
  list?: () => Response;
  /** Lists come as an event stream. */
  isStreaming?: boolean;
};

export type Guarded = AsyncDisposable & {
  readonly world: World;
  readonly upstream: ScriptedUpstream;
  /** A gateway with the guards that the test asks for, and a clock of its own. */
  readonly gateway: Beside;
  readonly url: string;
  readonly bearer: string;
  readonly offer: Offer;
  /** How many calls of tools have reached the upstream. */
  reached(): number;
};

export const text = (content: string, isError = false) => ({
  content: [{ type: "text", text: content }],
  ...(isError ? { isError } : {}),
});

export const reading = { readOnlyHint: true };
export const destructive = { readOnlyHint: false, destructiveHint: true };

/** A tool's definition with annotations; its schema takes anything. */
export function tool(name: string, annotations?: object, description = `Does ${name}`) {
  return {
    name,
    description,
    inputSchema: { type: "object" },
    ...(annotations === undefined ? {} : { annotations }),
  };
}

export const usualGuards = {
  SMARTDASH_LIMITS: "off",
  SMARTDASH_BUDGETS: "off",
  SMARTDASH_LOOPS: "on",
  SMARTDASH_CALLS_AT_ONCE: "64",
};

/** A gateway before an upstream that offers what `offer` says. */
export async function openGuarded(
  offered: Partial<Offer> = {},
  environment: Environment = {},
  rules: Readonly<Record<string, unknown>> = {},
): Promise<Guarded> {
  const offer: Offer = { tools: [], call: (name) => text(name), ...offered };
  const upstream = scriptedUpstream((request) => answerFor(offer, request));
  const places = { mercadolibre: { url: upstream.url, ...rules } };
  const world = await openWorld({
    environment: { SMARTDASH_UPSTREAMS: JSON.stringify(places) },
  });
  const bearer = await newBearer({ url: world.url });
  const gateway = await startBeside(world, { PORT: "0", ...usualGuards, ...environment });
  return {
    world,
    upstream,
    gateway,
    url: `${gateway.url}/mcp/mercadolibre`,
    bearer,
    offer,
    reached: () => upstream.seen.filter(({ body }) => body.includes('"tools/call"')).length,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly arguments?: Arguments };
};

async function answerFor(offer: Offer, request: Request): Promise<Response> {
  const message = (await request.json()) as Message;
  const { id } = message;
  if (id === undefined) return new Response(null, { status: 202 });
  const result = await resultOf(offer, message);
  if (result instanceof Response) return result;
  const answer = JSON.stringify({ jsonrpc: "2.0", id, result });
  if (offer.isStreaming !== true) {
    return new Response(answer, { headers: { "content-type": "application/json" } });
  }
  const events = `: hello\n\nevent: message\nid: e1\ndata: ${answer}\n\n`;
  return new Response(events, { headers: { "content-type": "text/event-stream" } });
}

function resultOf(offer: Offer, { method, params }: Message): unknown {
  if (method === "tools/call") return offer.call(params?.name ?? "", params?.arguments ?? {});
  if (method !== "tools/list") return {};
  return offer.list?.() ?? { tools: offer.tools, ttlMs: 1000, cacheScope: "public" };
}

export type Told = {
  readonly status: number;
  /** Our code, wherever the answer carries it. */
  readonly code: string | undefined;
  readonly text: string;
  readonly headers: Headers;
};

let ids = 0;

/** Calls a tool as an agent does, each time with another id. */
export async function call(
  guarded: Pick<Guarded, "url" | "bearer">,
  name: string,
  args: Arguments = {},
): Promise<Told> {
  ids += 1;
  return await told(await post(guarded.url, guarded.bearer, toolCall(name, args, ids)));
}

export async function told(answer: Response): Promise<Told> {
  const said = await answer.text();
  const code = /"code":"([a-z_]+)"/.exec(said)?.[1];
  return { status: answer.status, code, text: said, headers: answer.headers };
}

/** The names in a list of tools. */
export async function listed(guarded: Pick<Guarded, "url" | "bearer">): Promise<string[]> {
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const answer = await (await post(guarded.url, guarded.bearer, list)).text();
  const json = answer.includes("data: ") ? (answer.split("data: ")[1] ?? "") : answer;
  const { result } = JSON.parse(json) as { result: { tools: { name: string }[] } };
  return result.tools.map(({ name }) => name);
}

/** Asks again until it is so; what a command decides holds on every gateway within two seconds. */
export async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + 2000;
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error("it was not so within two seconds");
    await Bun.sleep(50);
  }
}
