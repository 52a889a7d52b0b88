import { expect } from "bun:test";
import type { OpenDatabase } from "#db/open.ts";
import type { SimulatedProvider } from "#src/sandbox/provider.ts";
import { type Visitor, connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { testDatabase } from "#test/support/database.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { freePort } from "#test/support/process.ts";
import { type Replica, gatewaysOn } from "./gateways.ts";
import { type Pgbouncer, startPgbouncer } from "./pgbouncer.ts";

/** Two gateways behind one PgBouncer. A seller is connected through the first, and has minted a bearer there. */
export type BehindPgbouncer = AsyncDisposable & {
  readonly replicas: readonly [Replica, Replica];
  readonly pgbouncer: Pgbouncer;
  readonly provider: SimulatedProvider;
  /** The database itself, past PgBouncer. */
  readonly sql: OpenDatabase["sql"];
  readonly visitor: Visitor;
  readonly bearer: string;
};

export async function behindPgbouncer(): Promise<BehindPgbouncer> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const pgbouncer = stack.use(await startPgbouncer(database.url));
  const ports = [await freePort(), await freePort()] as const;
  const publicUrl = `http://localhost:${ports[0]}`;
  const gateways = stack.use(await gatewaysOn({ databaseUrl: pgbouncer.url, publicUrl }));
  const first = stack.use(await gateways.start(ports[0]));
  const second = stack.use(await gateways.start(ports[1]));
  const visitor = newVisitor();
  await connectSeller(visitor, { url: publicUrl });
  const bearer = await mintBearer(visitor, publicUrl);
  const owned = stack.move();
  return {
    replicas: [first, second],
    pgbouncer,
    provider: gateways.provider,
    sql: database.open.sql,
    visitor,
    bearer,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export async function whoami({ url }: Replica, bearer: string) {
  const answer = await post(`${url}/mcp`, bearer, toolCall("whoami"));
  const text = await answer.text();
  const isAnswered = answer.status === 200 && text.includes("TIENDA_DEMO");
  return { status: answer.status, text, isAnswered };
}

/** How many of so many calls at once, spread over both, the upstream has answered. */
export async function answered(world: BehindPgbouncer, count: number): Promise<number> {
  const { replicas, bearer } = world;
  const calls = Array.from({ length: count }, (_, index) =>
    whoami(replicas[index % 2 === 0 ? 0 : 1], bearer),
  );
  return (await Promise.all(calls)).filter(({ isAnswered }) => isAnswered).length;
}

/** What the page's button does, on the first gateway. */
export async function pressEndSession(world: BehindPgbouncer): Promise<() => Promise<Response>> {
  const { visitor, replicas } = world;
  const { url } = replicas[0];
  const home = await (await visitor.get(`${url}/`)).text();
  const form_token = /form_token" value="([^"]+)"/.exec(home)?.[1] ?? "";
  const path = /action="(\/sessions\/[^"]+\/end)"/.exec(home)?.[1] ?? "";
  return () => visitor.post(`${url}${path}`, { form_token });
}

export async function endSession(world: BehindPgbouncer): Promise<void> {
  const press = await pressEndSession(world);
  expect((await press()).status).toBe(303);
}
