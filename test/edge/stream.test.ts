import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { definitionsChanged } from "#src/policy/tools/store.ts";
import { publish } from "#db/topics.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { type TestNode, openNode } from "./nodes.ts";
import { until } from "#test/support/until.ts";
import { allActed } from "#test/support/acknowledged.ts";

type Stream = {
  readonly status: number;
  readonly text: () => string;
  readonly isOpen: () => boolean;
  close(): void;
};

async function listen(node: TestNode, bearer: string, lastEventId?: string): Promise<Stream> {
  const ending = new AbortController();
  const response = await fetch(`${node.url}/mcp/node/${node.nodeId}/stream`, {
    headers: {
      authorization: `Bearer ${bearer}`,
      ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
    },
    signal: ending.signal,
  });
  let [text, isOpen] = ["", true];
  const decoder = new TextDecoder();
  const read = async () => {
    for await (const part of response.body ?? []) text += decoder.decode(part, { stream: true });
  };
  void read()
    .catch(() => undefined)
    .finally(() => (isOpen = false));
  return {
    status: response.status,
    text: () => text,
    isOpen: () => isOpen,
    close: () => ending.abort(),
  };
}

/** Listens as soon as there is a place: those of streams that were closed are free within a moment. */
function listensAgain(...about: Parameters<typeof listen>) {
  return until(async () => {
    const stream = await listen(...about);
    if (stream.status === 200) return stream;
    stream.close();
    return undefined;
  }, "a place for a stream");
}

const tell = (node: TestNode, upstream: string) =>
  publish(node.world.app.db, [definitionsChanged(upstream)]);
const lastIdIn = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
const countOf = (text: string) => text.split("notifications/tools/list_changed").length - 1;

test("who listens is told what changes for it, and after a break what it has missed", async () => {
  await using node = await openNode("first");
  const [shop, own] = [await node.bearer("shop"), await node.bearer()];
  const stream = await listen(node, shop);
  const owner = await listen(node, own);
  expect(stream.status).toBe(200);
  await tell(node, "shop");
  await until(() => countOf(stream.text()) === 1, stream.text);
  const seen = lastIdIn(stream.text());
  stream.close();
  await tell(node, "shop");
  await tell(node, "other");
  await tell(node, "shop");
  await allActed(node.world.app.db);
  const again = await listen(node, shop, seen);
  await until(() => countOf(again.text()) === 2, again.text);
  // What was missed comes before what is new: not one more than these.
  await tell(node, "shop");
  await until(() => countOf(again.text()) >= 3, again.text);
  expect(countOf(again.text())).toBe(3);
  // Nothing of that was the other's.
  expect(owner.text()).not.toContain("notifications/");
  await node.run("peers", "trust", "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq");
  await until(() => owner.text().includes("edge-hive://peers"), owner.text);
  expect(again.text()).not.toContain("edge-hive://peers");
  // What is not known any more, or of another process: everything may have changed.
  const lost = await listen(node, shop, "deadbeef-7");
  await until(() => countOf(lost.text()) === 1, lost.text);
  expect(lost.text()).toContain("notifications/resources/list_changed");
  for (const each of [again, owner, lost]) each.close();
});

test("whoever has missed a hundred notifications is told of all of them, and holds no place for nothing", async () => {
  await using node = await openNode("first");
  const shop = await node.bearer("shop");
  const stream = await listen(node, shop);
  await tell(node, "shop");
  await until(() => countOf(stream.text()) === 1, stream.text);
  const seen = lastIdIn(stream.text());
  stream.close();
  for (let count = 0; count < 100; count += 1) await tell(node, "shop");
  await allActed(node.world.app.db);
  for (let count = 0; count < 12; count += 1) {
    const again = await listensAgain(node, shop, seen);
    await until(
      () => countOf(again.text()) === 100,
      () => String(countOf(again.text())),
    );
    expect(again.isOpen()).toBe(true);
    again.close();
  }
});

test("a person is told when the account needs them, and the stream ends with what it rests on", async () => {
  await using node = await openNode("first", { SMARTDASH_DEFAULT_UPSTREAM: "mercadolibre" });
  const bearer = await newBearer({ url: node.url });
  const other = await newBearer({ url: node.url, seller: "100200301" });
  const [mine, others] = [await listen(node, bearer), await listen(node, other)];
  await Bun.sleep(500);
  await node.world.app.db.execute(
    sql`update accounts set state = 'reconnect_required' where seller_id <> '100200301'`,
  );
  await until(() => mine.text().includes("account_state"), mine.text);
  expect(mine.text()).toContain('"state":"reconnect_required"');
  expect(others.text()).not.toContain("account_state");
  await node.world.app.db.execute(sql`update sessions set ended_at = now()`);
  const [session] = await node.world.app.db.execute<{ id: string }>(
    sql`select s.id from sessions s join accounts a on a.id = s.account_id where a.seller_id <> '100200301'`,
  );
  await publish(node.world.app.db, [`session:${session?.id}`]);
  await until(() => !mine.isOpen(), mine.text);
  expect(mine.text()).toContain("event: end");
  expect(others.isOpen()).toBe(true);
  others.close();
});

test("listening needs a bearer and a scope, and has a limit for each caller", async () => {
  await using node = await openNode("first");
  expect((await listen(node, "sd_ses_wrong")).status).toBe(401);
  const bearer = await node.bearer();
  const streams = await Promise.all(Array.from({ length: 8 }, () => listen(node, bearer)));
  expect(streams.map(({ status }) => status)).toEqual(Array<number>(8).fill(200));
  expect((await listen(node, bearer)).status).toBe(503);
  for (const each of streams) each.close();
  (await listensAgain(node, bearer)).close();
});
