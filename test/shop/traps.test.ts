import { expect, test } from "bun:test";
import { createQuota } from "#src/upstreams/tools/quota.ts";
import { connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { runBeside } from "#test/cli/run.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { at as field } from "#src/upstreams/mercadolibre-shop/fields.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { Running } from "#src/upstreams/tools/api.ts";
import { evaluate } from "#src/operations/alerts/alerts.ts";
import { type OpenShop, linkIn, openShop } from "./shop.ts";

/*
 * What goes wrong between a REST API and tools, by the numbers of our list (docs/tools.md). 22, test users, is a
 * paragraph there; 17 and 18 are also in shop.test.ts.
 */

const json = (body: unknown, status = 200, headers = {}) =>
  Response.json(body, { status, headers });

function next(at: OpenShop, ...answers: (Response | undefined | (() => Promise<Response>))[]) {
  for (const answer of answers) {
    at.world.sandbox.api.faults.push(() => (typeof answer === "function" ? answer() : answer));
  }
}

test("1: numbers beyond 2^53 keep every digit", async () => {
  await using at = await openShop();
  const { data } = await at.call("get_listings", { item_ids: ["MLA1006"] });
  expect(field(data, "rows", 0, "variations", 0, "variation_id")).toBe("9007199254000000");
  await at.call("get_account");
  const raw = new Response('{"id":90371992547409912345,"order_items":[]}', {
    headers: { "content-type": "application/json" },
  });
  next(at, raw);
  const order = await at.call("get_order", { order_id: "90371992547409912" });
  expect(field(order.data, "orders", 0, "order_id")).toBe("90371992547409912345");
  const number = await at.call("get_order", { order_id: 2_000_001 as unknown as string });
  expect([number.isError, number.code]).toEqual([true, "invalid_argument"]);
});

const tricks = [
  "../users/me",
  "MLA1/description",
  "MLA1%2fdescription",
  "..",
  ".",
  "%2e%2e",
  "",
  "MLA1?x=1",
  "MLA1#x",
  "//evil.example/x",
  "https://evil.example/",
  "MLA1\\..\\x",
  "MLA1\r\nhost: evil",
  "MLA1\0",
  "\ud800",
  "ＭＬＡ1001",
  "MLA" + "1".repeat(100_000),
];

test.each(tricks)("2: an id that is none (%p) reaches nothing", async (item_id) => {
  await using at = await openShop();
  const before = at.world.sandbox.api.asked.length;
  for (const name of ["get_listing_stock", "get_listing_description", "get_listing_price"]) {
    const came = await at.call(name, { item_id });
    expect(came.text).toMatch(/invalid_argument|message_invalid|body_unreadable/);
  }
  expect(at.world.sandbox.api.asked.length).toBe(before);
});

test("2: any text in place of an id reaches nothing but what its pattern allows", async () => {
  await using at = await openShop();
  const letters = ["M", "L", "A", "1", "/", ".", "%", "?", "#", "\\", "@", ":", " ", "é"];
  for (let round = 0; round < 200; round += 1) {
    const item_id = Array.from(
      { length: 1 + (round % 12) },
      (_, index) => letters[(round * 7 + index * (3 + (round % 5))) % letters.length],
    ).join("");
    if (/^M[A-Z]{2}\d{4,14}$/.test(item_id)) continue;
    const { api } = at.world.sandbox;
    const before = api.asked.length;
    await at.call("get_listing_description", { item_id });
    expect([item_id, api.asked.length]).toEqual([item_id, before]);
  }
});

test("3: two sellers at once, with slow answers, never see each other's", async () => {
  await using at = await openShop({ MELI_REQUESTS_PER_MINUTE: "100000" });
  const other = await authorizedAgent(at.world.url, {
    seller: "100200301",
    query: { resource: at.url },
  });
  const slow = () => async () => {
    await Bun.sleep(Math.random() * 4);
    return undefined as unknown as Response;
  };
  for (let round = 0; round < 200; round += 1) {
    next(at, slow(), slow(), slow(), slow());
    const [mine, theirs] = await Promise.all([
      at.call("list_listings", { limit: 2 }),
      at.call("list_listings", { limit: 2 }, other.tokens.access_token),
    ]);
    const ids = (came: typeof mine) =>
      came.data.rows.map((row) => String(row["item_id"]).slice(0, 3));
    expect([round, ids(mine), ids(theirs)]).toEqual([round, ["MLA", "MLA"], ["MLB", "MLB"]]);
  }
}, 60_000);

test("4: nothing of the agent's headers reaches the API", async () => {
  await using at = await openShop();
  let seen = new Headers();
  at.world.sandbox.api.faults.push((request) => {
    seen = request.headers;
    return undefined;
  });
  await fetch(at.url, {
    method: "POST",
    headers: {
      authorization: `Bearer ${at.bearer}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "x-evil": "1",
      "mcp-protocol-version": "2025-06-18",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "get_account", arguments: {} },
    }),
  });
  expect([seen.get("x-evil"), seen.get("mcp-protocol-version")]).toEqual([null, null]);
  expect(seen.get("authorization")).not.toContain(at.bearer);
});

test("4: whatever headers an agent sends, the API gets the same few, at the same host", async () => {
  await using at = await openShop({ MELI_REQUESTS_PER_MINUTE: "100000" });
  const names = [
    "x-forwarded-host",
    "forwarded",
    "cookie",
    "x-format-new",
    "x-caller-id",
    "api-version",
  ];
  const values = [
    "evil.example",
    "http://169.254.169.254/",
    "a, b",
    "100200301",
    "%0d%0ahost: evil",
  ];
  const asked: Headers[] = [];
  for (let round = 0; round < 100; round += 1) {
    const pick = (step: number) => [
      names[(round + step) % names.length] ?? "",
      values[(round * step) % values.length] ?? "",
    ];
    const headers = Object.fromEntries([pick(1), pick(3), pick(5)]);
    at.world.sandbox.api.faults.push((request) => void asked.push(request.headers));
    await (await post(at.url, at.bearer, toolCall("list_claims", {}), headers)).text();
    const seen = asked[round] ?? new Headers();
    const told = [...seen.keys()];
    expect([round, told.filter((name) => !sent.has(name))]).toEqual([round, []]);
    expect(seen.get("host")).toMatch(/^(localhost|127\.0\.0\.1):\d+$/);
    expect(seen.get("authorization")).not.toContain(at.bearer);
  }
});

const sent: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "authorization",
  "connection",
  "host",
  "user-agent",
]);

test("5: what a bulk answer hides is told, one by one", async () => {
  await using at = await openShop();
  const { data } = await at.call("get_listings", { item_ids: ["MLA1001", "MLA9999"] });
  expect(data["rows"]).toHaveLength(1);
  expect(data["failed"]).toEqual([{ id: "MLA9999", http_status: 404 }]);
  const none = await at.call("get_listings", { item_ids: ["MLA9998", "MLA9999"] });
  expect([none.isError, none.code]).toEqual([true, "not_found"]);
});

test("6: 206 is data, and not all of it", async () => {
  await using at = await openShop();
  await at.call("get_account");
  next(at, json({ id: 100200300, site_id: "MLA" }, 206));
  expect((await at.call("get_reputation")).data["partial"]).toBe(true);
});

test("7: 404 where there is none, and 204, are answers", async () => {
  await using at = await openShop();
  expect((await at.call("get_shipment", { shipment_id: "4000001" })).data["delayed"]).toBe(false);
  expect((await at.call("get_listing_description", { item_id: "MLA1009" })).data["exists"]).toBe(
    false,
  );
  expect((await at.call("get_business_report", { kind: "ads" })).data["rows"]).toEqual([]);
});

test("8: a 200 that changed nothing is an error", async () => {
  await using at = await openShop();
  const args = { item_id: "MLA1001", status: "paused", expected_status: "active" };
  const first = await at.call("set_listing_status", args);
  await at.answer(/https?:\/\/[^\s"\\]+/.exec(first.text)?.[0] ?? "", "once");
  next(at, undefined, json({ warnings: [{ message: "ignored" }] }));
  const came = await at.call("set_listing_status", args);
  expect([came.isError, came.code, came.data["current"]]).toEqual([true, "not_applied", "active"]);
});

test("9: stock that the vendor changes a moment later is pending, not failed", async () => {
  await using at = await openShop();
  const args = { item_id: "MLA1007", quantity: 5, expected_quantity: 27 };
  const first = await at.call("update_listing_stock", args);
  await at.answer(/https?:\/\/[^\s"\\]+/.exec(first.text)?.[0] ?? "", "once");
  next(at, undefined, undefined, new Response(null, { status: 204 }));
  const came = await at.call("update_listing_stock", args);
  expect([came.isError, came.data["applied"], came.data["pending"]]).toEqual([false, false, true]);
});

test("10: reading a conversation marks nothing as read", async () => {
  await using at = await openShop();
  let search = "";
  await at.call("get_account");
  at.world.sandbox.api.faults.push((request) => {
    ({ search } = new URL(request.url));
    return undefined;
  });
  await at.call("get_conversation", { pack_id: "3000001" });
  expect(new URLSearchParams(search).get("mark_as_read")).toBe("false");
});

test("11: a new price names every variation, so that none is deleted", async () => {
  await using at = await openShop();
  const came = await at.allowed("update_listing_price", {
    item_id: "MLA1006",
    price: 40_000,
    expected_price: 37_400,
  });
  expect(came.data).toMatchObject({ before: 37_400, after: 40_000, applied: true });
  expect(at.shop.items.get("MLA1006")?.variations.map(({ price }) => price)).toEqual([
    40_000, 40_000,
  ]);
  const one = await at.allowed("update_listing_stock", {
    item_id: "MLA1006",
    variation_id: "9007199254000001",
    quantity: 9,
    expected_quantity: 5,
  });
  expect(one.data).toMatchObject({ before: 5, after: 9, applied: true });
  expect(at.shop.items.get("MLA1006")?.variations.map((each) => each.available_quantity)).toEqual([
    4, 9,
  ]);
});

test("12: a discount is removed by its type, never all offers at once", async () => {
  await using at = await openShop();
  const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const set = {
    item_id: "MLA1001",
    action: "set",
    deal_price: 8000,
    start_date: day(1),
    end_date: day(5),
    expected_price: 9900,
  };
  expect((await at.allowed("set_listing_discount", set)).data).toMatchObject({
    before: null,
    after: 8000,
    applied: true,
  });
  const remove = { item_id: "MLA1001", action: "remove", expected_price: 9900 };
  expect((await at.allowed("set_listing_discount", remove)).data).toMatchObject({
    before: 8000,
    after: null,
    applied: true,
  });
  const deep = await at.call("set_listing_discount", { ...set, deal_price: 100 });
  expect([deep.isError, deep.code]).toEqual([true, "invalid_argument"]);
});

test("13: reading is tried again; a write whose outcome is unknown never is", async () => {
  await using at = await openShop();
  await at.call("get_account");
  next(at, json({}, 500), json({}, 429));
  expect((await at.call("list_unread_messages")).isError).toBe(false);
  const args = {
    question_id: "5002",
    expected_question: "¿Llega antes del viernes a Rosario?",
    text: "Sí, llega.",
  };
  const first = await at.call("answer_question", args);
  await at.answer(/https?:\/\/[^\s"\\]+/.exec(first.text)?.[0] ?? "", "once");
  const { api } = at.world.sandbox;
  const posts = () => api.asked.filter((each) => each === "POST /answers").length;
  next(at, undefined, json({}, 502));
  const lost = await at.call("answer_question", args);
  expect([lost.isError, lost.code, posts()]).toEqual([true, "outcome_unknown", 1]);
  // Not even after another yes.
  const again = await at.allowed("answer_question", args);
  expect([again.isError, again.code, posts()]).toEqual([true, "outcome_unknown", 1]);
  const rows = await at.world.database.open.sql`select tool, state from tool_writes`;
  expect([...rows]).toEqual([{ tool: "answer_question", state: "sent" }]);
});

test("13: what was refused may be tried again at once", async () => {
  await using at = await openShop();
  const args = { question_id: "5001", expected_question: "¿Hacen factura A?", text: "Sí." };
  const first = await at.call("answer_question", args);
  await at.answer(/https?:\/\/[^\s"\\]+/.exec(first.text)?.[0] ?? "", "once");
  next(at, undefined, json({ message: "invalid_post_body" }, 400));
  const refused = await at.call("answer_question", args);
  expect([refused.isError, refused.code]).toEqual([true, "rejected"]);
  expect((await at.allowed("answer_question", args)).data).toMatchObject({ applied: true });
});

test.each([
  ["the connection is refused", undefined, "upstream_down"],
  ["the connection is cut before the head", "", "outcome_unknown"],
  [
    "the connection is cut after a 201",
    "HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{",
    "outcome_unknown",
  ],
] as const)("13: where %s", async (_, answer, code) => {
  await using at = await openShop();
  const args = { question_id: "5001", expected_question: "¿Hacen factura A?", text: "Sí." };
  const first = await at.call("answer_question", args);
  await at.answer(/https?:\/\/[^\s"\\]+/.exec(first.text)?.[0] ?? "", "once");
  // A second gateway on the same database, whose API this is.
  const question = JSON.stringify(at.shop.questions.get(5001));
  const api = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        const text = bytes.toString();
        if (text.startsWith("POST")) {
          socket.end(answer ?? "");
          return;
        }
        const body = text.startsWith("GET /users/me")
          ? '{"id":100200300,"site_id":"MLA"}'
          : question;
        const length = Buffer.byteLength(body);
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`,
        );
        socket.end();
        if (answer === undefined && text.startsWith("GET /users/me")) api.stop();
      },
    },
  });
  const upstreams = { "mercadolibre-shop": { url: `http://127.0.0.1:${api.port}` } };
  await using second = await secondGateway(at.world, {
    SMARTDASH_UPSTREAMS: JSON.stringify(upstreams),
  });
  const came = await at.call(
    "answer_question",
    args,
    at.bearer,
    `${second.url}/mcp/mercadolibre-shop`,
  );
  expect([came.isError, came.code]).toEqual([true, code]);
  const rows = await at.world.database.open.sql`select state from tool_writes`;
  expect([...rows]).toEqual([{ state: code === "upstream_down" ? "refused" : "sent" }]);
  api.stop(true);
});

test("13: the same message is not sent twice within ten minutes", async () => {
  await using at = await openShop();
  const args = { pack_id: "3000001", text: "Sale mañana." };
  expect((await at.allowed("send_message", args)).data).toMatchObject({ delivered: true });
  const again = await at.allowed("send_message", args);
  expect([again.isError, again.code]).toEqual([true, "duplicate"]);
  expect(at.shop.conversations.get("3000001")).toHaveLength(2);
});

/** A quota whose clock goes on when it sleeps. */
function quotaOf(perMinute: number) {
  const clock = { now: 0 };
  const sleep = (milliseconds: number) => {
    clock.now += milliseconds;
    return Promise.resolve();
  };
  return {
    clock,
    quota: createQuota({ perMinute: { default: perMinute }, now: () => clock.now, sleep }),
  };
}

test("14: sellers that wait take turns; a lone one has the whole rate, and nobody waits longer than ten seconds", async () => {
  const { clock, quota } = quotaOf(60);
  const order: string[] = [];
  const enter = async (seller: string) => {
    try {
      await quota.enter("items", seller);
      order.push(seller);
    } catch {
      order.push(`${seller} refused`);
    }
  };
  await Promise.all([...Array.from({ length: 40 }, () => enter("loud")), enter("quiet")]);
  // Five at once, then one a second, in turns.
  expect(order.indexOf("quiet")).toBeWithin(0, 8);
  expect(order.filter((each) => each === "loud refused").length).toBeGreaterThan(20);
  clock.now += 60_000;
  const before = clock.now;
  for (let count = 0; count < 65; count += 1) await quota.enter("items", "lone");
  expect(clock.now - before).toBeWithin(55_000, 62_000);
});

test("14: who is refused again and again asks nothing for a minute, and one late refusal opens nothing", async () => {
  const { clock, quota } = quotaOf(6000);
  const isStopped = async () => {
    try {
      await quota.enter("items", "loud");
      return false;
    } catch (error) {
      return String(error).includes("block applications");
    }
  };
  quota.refused("loud");
  clock.now += 59_000;
  for (let count = 0; count < 19; count += 1) quota.refused("loud");
  expect(await isStopped()).toBe(true);
  clock.now += 1500;
  quota.refused("loud");
  expect(await isStopped()).toBe(true);
  await quota.enter("items", "quiet");
  clock.now += 61_000;
  expect(await isStopped()).toBe(false);
});

test("15: sales from outside the period are no answer", async () => {
  await using at = await openShop();
  await at.call("get_account");
  next(
    at,
    json({
      results: [{ id: 1, date_created: "2020-01-01T00:00:00.000-04:00", order_items: [] }],
      paging: { total: 1 },
    }),
  );
  const came = await at.call("list_orders");
  expect([came.isError, came.code]).toEqual([true, "rejected"]);
});

test("16: cancelled sales come only when they are asked for", async () => {
  await using at = await openShop();
  const from = new Date(Date.now() - 30 * 86_400_000).toISOString();
  expect((await at.call("list_orders", { from })).data["total"]).toBe(11);
  const cancelled = await at.call("list_orders", { from, status: "cancelled" });
  expect(cancelled.data.rows.map((row) => row["status"])).toEqual(["cancelled"]);
});

test("19: a yes to a message is for that message alone", async () => {
  await using at = await openShop();
  await at.allowed("send_message", { pack_id: "3000001", text: "Uno." });
  expect((await at.call("send_message", { pack_id: "3000001", text: "Dos." })).code).toBe(
    "approval_needed",
  );
});

test("20, 21: site and model come from the account and its tags", async () => {
  await using at = await openShop();
  expect((await at.call("get_account")).data).toMatchObject({
    id: "100200300",
    site: "MLA",
    currency: "ARS",
    user_products: true,
  });
  const stock = await at.call("get_listing_stock", { item_id: "MLA1007" });
  expect(stock.data).toMatchObject({
    stock_version: "1",
    places: [{ type: "selling_address", quantity: 27, can_change: true }, { can_change: false }],
  });
  const changed = await at.allowed("update_listing_stock", {
    item_id: "MLA1007",
    quantity: 30,
    expected_quantity: 27,
  });
  expect(changed.data).toMatchObject({ before: 27, after: 30, applied: true });
});

test.each([
  [
    400,
    { message: "x", cause: [{ message: "the price is too low" }] },
    "rejected",
    "the price is too low",
  ],
  [
    403,
    { code: "PA_UNAUTHORIZED_RESULT_FROM_POLICIES", blocked_by: "PolicyAgent", message: "no" },
    "forbidden",
    "permission",
  ],
  [403, { error: "access_denied", code: "FORBIDDEN" }, "forbidden", "access_denied"],
  [404, { key: "not_found", message: "no offer" }, "not_found", "no offer"],
  [409, { message: "item optimistic locking error" }, "conflict", "read it again"],
  [429, { message: "too many" }, "rate_limited", "Wait"],
  [401, { code: "unauthorized_scopes", message: "app blocked" }, "app_blocked", "operator"],
  [
    400,
    { error: "bad_request", description: "campaign wrong", cause: null },
    "rejected",
    "campaign wrong",
  ],
] as const)("23: %p %j is %p", async (status, body, code, words) => {
  await using at = await openShop();
  await at.call("get_account");
  const answers = status === 429 ? [1, 2, 3] : [1];
  for (const _ of answers) next(at, json(body, status));
  const came = await at.call("list_unread_messages");
  expect([came.isError, came.code]).toEqual([true, code]);
  expect(came.text).toContain(words);
});

test("23: 401 leads to one renewal and one more try, and then to the person", async () => {
  await using at = await openShop();
  const dead = () => json({ code: "unauthorized", message: "invalid access token" }, 401);
  next(at, dead());
  expect((await at.call("get_account")).isError).toBe(false);
  next(at, dead(), dead());
  const came = await at.call("list_unread_messages");
  expect(came.text).toMatch(/upstream_refuses_credential|reconnect_needed/);
});

test("23: what an API says of a mistake is marked, and holds no credential", async () => {
  await using at = await openShop();
  await at.call("get_account");
  let token = "";
  at.world.sandbox.api.faults.push((request) => {
    [, token = ""] = (request.headers.get("authorization") ?? "").split(" ");
    const message = `Malformed access_token: ${token} of juan.perez@example.com +54 11 5555-4444`;
    return json({ message }, 400);
  });
  const came = await at.call("list_unread_messages");
  expect(String(came.data["untrusted_text"])).toStartWith("Malformed");
  expect(came.text).not.toContain(token);
  expect(came.text).not.toMatch(/juan|5555/);
});

test("24: a page with status 200 is no answer, and never called nothing", async () => {
  await using at = await openShop();
  await at.call("get_account");
  for (const name of ["list_orders", "list_claims", "list_questions", "list_unread_messages"]) {
    next(at, new Response("<html>blocked</html>", { headers: { "content-type": "text/html" } }));
    const came = await at.call(name);
    expect([name, came.isError, came.code]).toEqual([name, true, "upstream_down"]);
  }
});

test("24: a page in place of the account is not kept", async () => {
  await using at = await openShop();
  next(at, new Response("<html>", { headers: { "content-type": "text/html" } }));
  expect((await at.call("get_account")).code).toBe("upstream_down");
  next(at, json({ message: "odd" }));
  expect((await at.call("get_account")).code).toBe("upstream_down");
  expect((await at.call("get_account")).data["site"]).toBe("MLA");
});

test("9: where a change cannot be read back it is not called undone", async () => {
  await using at = await openShop();
  const args = { item_id: "MLA1001", price: 12_000, expected_price: 9900 };
  const first = await at.call("update_listing_price", args);
  await at.answer(/https?:\/\/[^\s"\\]+/.exec(first.text)?.[0] ?? "", "once");
  const gone = () => json({ code: "unauthorized" }, 401);
  next(at, undefined, undefined, undefined, gone());
  const came = await at.call("update_listing_price", args);
  expect([came.isError, came.code]).toEqual([true, "outcome_unknown"]);
  expect(at.shop.items.get("MLA1001")?.price).toBe(12_000);
});

test("24: HTML in place of JSON is no answer, and not shown", async () => {
  await using at = await openShop();
  await at.call("get_account");
  const page = () =>
    new Response("<html><b>maintenance</b></html>", {
      status: 503,
      headers: { "content-type": "text/html" },
    });
  next(at, page(), page(), page());
  const came = await at.call("list_unread_messages");
  expect([came.isError, came.code]).toEqual([true, "upstream_down"]);
  expect(came.text).not.toContain("<b>");
});

test("4: a redirect is not followed, wherever it leads", async () => {
  await using at = await openShop();
  await at.call("get_account");
  const { api } = at.world.sandbox;
  const before = api.asked.length;
  next(at, new Response(null, { status: 302, headers: { location: `${at.world.url}/livez` } }));
  const came = await at.call("list_unread_messages");
  expect([came.isError, came.code, api.asked.length - before]).toEqual([true, "rejected", 1]);
});

test("a conversation that nobody has begun is opened only as the vendor permits", async () => {
  await using at = await openShop();
  const args = { pack_id: "3000002", text: "¿Qué color prefieres?" };
  expect((await at.allowed("send_message", args)).code).toBe("rejected");
  const opened = await at.allowed("send_message", { ...args, option: "REQUEST_VARIANTS" });
  expect(opened.data).toMatchObject({ delivered: true });
  expect(at.shop.conversations.get("3000002")).toHaveLength(1);
  const wrong = await at.allowed("send_message", { ...args, option: "DELIVERY_PROMISE" });
  expect([wrong.isError, wrong.code]).toEqual([true, "rejected"]);
});

test("21: stock in a warehouse is changed there, with the version that was seen", async () => {
  await using at = await openShop();
  at.shop.stock.set("MLAU7001", { quantity: 4, version: 7, type: "seller_warehouse" });
  const seen = await at.call("get_listing_stock", { item_id: "MLA1007" });
  expect(seen.data).toMatchObject({
    stock_version: "7",
    places: [{ type: "seller_warehouse", store_id: "9001" }, {}],
  });
  const args = { item_id: "MLA1007", quantity: 6, expected_quantity: 4, stock_version: "7" };
  expect((await at.allowed("update_listing_stock", args)).data).toMatchObject({
    after: 6,
    applied: true,
  });
  const stale = await at.allowed("update_listing_stock", {
    ...args,
    expected_quantity: 6,
    quantity: 5,
  });
  expect([stale.isError, stale.code, stale.data["field"]]).toEqual([
    true,
    "value_changed",
    "stock_version",
  ]);
});

test("promotions: of the seller, of a listing, and the listings of one", async () => {
  await using at = await openShop();
  const one = { promotion_id: "P-MLA1", promotion_type: "DEAL" };
  expect((await at.call("list_promotions", one)).data.rows).toHaveLength(1);
  expect((await at.call("list_promotions", { promotion_id: "P-MLA1" })).code).toBe(
    "invalid_argument",
  );
});

test("24: labels are a file when it went well, and JSON when it did not", async () => {
  await using at = await openShop();
  const came = await at.allowed("get_shipping_labels", { shipment_ids: ["4000001"] });
  expect(came.data).toMatchObject({ format: "pdf", bytes: 18 });
  const blob = Buffer.from("%PDF-1.4 simulated").toString("base64");
  expect(came.text).toContain(`"mimeType":"application/pdf","blob":"${blob}"`);
  const early = await at.allowed("get_shipping_labels", { shipment_ids: ["4000012"] });
  expect([early.isError, early.code]).toEqual([true, "rejected"]);
});

test("25: a part that is not there does not spoil the others", async () => {
  await using at = await openShop();
  const { data } = await at.call("get_listing_price", { item_id: "MLA1003" });
  expect(data).toMatchObject({
    listed_price: 20_900,
    automation: { is_on: true },
    catalog_competition: { unavailable: "there is none" },
  });
  const owned = await at.allowed("update_listing_price", {
    item_id: "MLA1003",
    price: 1,
    expected_price: 20_900,
  });
  expect([owned.isError, owned.code]).toEqual([true, "rejected"]);
});

test("26: where the bulk form is gone the one before is asked, and operators are told", async () => {
  await using at = await openShop();
  await at.call("get_account");
  next(
    at,
    undefined,
    json({ message: "gone" }, 410),
    json([{ code: 200, body: { id: "MLA1001", title: "x" } }]),
  );
  const { data } = await at.call("list_listings", { limit: 1 });
  expect(data["rows"]).toMatchObject([{ item_id: "MLA1001" }]);
  const events = await at.world.database.open
    .sql`select subject from events where name = 'endpoint_gone'`;
  expect([...events]).toEqual([{ subject: "GET /items/bulk" }]);
});

test.each(["deprecation", "sunset"])("26: operators are told where one says %s", async (header) => {
  await using at = await openShop();
  await at.call("get_account");
  next(at, json({ results: [] }, 200, { [header]: "@1798675200" }));
  expect((await at.call("list_unread_messages")).isError).toBe(false);
  const { kind, subject } = (await evaluate(at.world.app)).find((each) =>
    each.kind.startsWith("endpoint"),
  ) ?? { kind: "none", subject: "none" };
  expect([kind, subject]).toEqual(["endpoint_deprecated", "GET /messages/unread"]);
});

test("a moderated message is not called delivered", async () => {
  await using at = await openShop();
  const came = await at.allowed("send_message", { pack_id: "3000001", text: "me@example.com" });
  expect([came.isError, came.code]).toEqual([true, "not_applied"]);
});

const moderated = (status: string, own = "available") =>
  json({ id: "1", status: own, message_moderation: { status } }, 201);

test.each([
  [() => moderated("clean"), undefined],
  [() => moderated("non_moderated"), undefined],
  [() => json({ status: "available" }, 201), undefined],
  [() => moderated("rejected"), "not_applied"],
  [() => moderated("clean", "moderated"), "not_applied"],
  [() => moderated("pending_translation"), "outcome_unknown"],
  [() => moderated("something_new"), "outcome_unknown"],
])("a message is delivered when Mercado Libre says so (%#)", async (answer, code) => {
  await using at = await openShop();
  const args = { pack_id: "3000001", text: "Sale hoy" };
  const first = await at.call("send_message", args);
  await at.answer(linkIn(first.text), "once");
  // The account and the conversation are read before.
  next(at, undefined, undefined, answer());
  const came = await at.call("send_message", args);
  expect([came.isError, came.code]).toEqual([code !== undefined, code]);
});

test("23: what an API says beside an answer is as untrusted, and holds no credential", async () => {
  await using at = await openShop();
  let credential = "";
  const warned = (request: Request) => {
    [, credential = ""] = (request.headers.get("authorization") ?? "").split(" ");
    const message = `<b>Ask</b> juan%40example.com or 11 5555-4444, ${credential}`;
    return json({ warnings: Array.from({ length: 50 }, () => ({ message })) });
  };
  const args = { item_id: "MLA1001", status: "paused", expected_status: "active" };
  const first = await at.call("set_listing_status", args);
  await at.answer(linkIn(first.text), "once");
  at.world.sandbox.api.faults.push(() => undefined, warned);
  const came = await at.call("set_listing_status", args);
  expect([came.code, credential.length > 20]).toEqual(["not_applied", true]);
  expect(came.text).not.toContain(credential);
  expect(came.text).not.toMatch(/example\.com|5555|<b>/);
  expect(String(came.data["untrusted_text"]).match(/Ask/g)).toHaveLength(10);
});

test("4: a credential that an API says is in no answer, wherever it stands", async () => {
  await using at = await openShop();
  let credential = "";
  at.world.sandbox.api.faults.push((request) => {
    [, credential = ""] = (request.headers.get("authorization") ?? "").split(" ");
    return json({ id: 100_200_300, site_id: "MLA", nickname: credential, tags: [] });
  });
  const came = await at.call("get_account");
  expect([came.isError, came.data["nickname"], credential.length > 20]).toEqual([false, "…", true]);
  expect(came.text).not.toContain(credential);
});

test("12: what cannot be read back is not called removed", async () => {
  await using at = await openShop();
  const price = at.shop.items.get("MLA1003")?.price ?? 0;
  const asked = { item_id: "MLA1003", action: "remove", expected_price: price };
  const first = await at.call("set_listing_discount", asked);
  await at.answer(linkIn(first.text), "once");
  await at.call("get_account");
  next(at, undefined, json([]), json({}), json({ message: "later" }));
  const came = await at.call("set_listing_discount", asked);
  expect([came.isError, came.code]).toEqual([true, "outcome_unknown"]);
});

test("12: a discount that Mercado Libre did not remove is there still", async () => {
  await using at = await openShop();
  const price = at.shop.items.get("MLA1003")?.price ?? 0;
  const asked = { item_id: "MLA1003", action: "remove", expected_price: price };
  const first = await at.call("set_listing_discount", asked);
  await at.answer(linkIn(first.text), "once");
  await at.call("get_account");
  const offers = () => json([{ type: "PRICE_DISCOUNT", status: "started", price: 8000 }]);
  next(
    at,
    undefined,
    offers(),
    json({ successful_ids: [], errors: [{ message: "no" }] }),
    offers(),
  );
  const came = await at.call("set_listing_discount", asked);
  expect([came.isError, came.code, came.data["current"]]).toEqual([true, "not_applied", 8000]);
});

test("2: an id has one way to be written", async () => {
  await using at = await openShop();
  for (const pack_id of ["03000001", "0"]) {
    const came = await at.call("send_message", { pack_id, text: "Sale hoy" });
    expect([pack_id, came.isError, came.code]).toEqual([pack_id, true, "invalid_argument"]);
  }
});

test.each([
  ["nothing", () => new Response("", { headers: { "content-type": "application/json" } })],
  ["null", () => json(null)],
  ["another object", () => json({ questions_of: [] })],
])("24: %s in place of a list is no answer", async (_, answer) => {
  await using at = await openShop();
  await at.call("get_account");
  for (const name of ["list_questions", "list_orders", "list_claims", "list_listings"]) {
    next(at, answer(), answer(), answer());
    const came = await at.call(name);
    expect([name, came.isError, came.code]).toEqual([name, true, "upstream_down"]);
    at.world.sandbox.api.faults.length = 0;
  }
});

test("11: a price is the one that the person saw on every variation", async () => {
  await using at = await openShop();
  const item = at.shop.items.get("MLA1006");
  const [, second] = item?.variations ?? [];
  if (second === undefined) throw new Error("no variations");
  Object.assign(second, { price: 1 });
  const came = await at.allowed("update_listing_price", {
    item_id: "MLA1006",
    price: 40_000,
    expected_price: 37_400,
  });
  expect([came.isError, came.code, came.data["current"]]).toEqual([true, "value_changed", 1]);
});

test("19: a yes for an hour from before does not count where each call needs its own", async () => {
  await using at = await openShop();
  const args = { pack_id: "3000001", text: "Sale hoy" };
  const first = await at.call("send_message", args);
  await at.answer(linkIn(first.text), "once");
  await at.world.database.open.sql`update approvals set extent = 'hour'`;
  expect((await at.call("send_message", args)).code).toBe("approval_needed");
});

test("13: what was done is called done, also where its row cannot be ended", async () => {
  await using at = await openShop();
  const { sql } = at.world.database.open;
  const args = { pack_id: "3000001", text: "Sale hoy" };
  const first = await at.call("send_message", args);
  await at.answer(linkIn(first.text), "once");
  await sql`alter table tool_writes add constraint never_done check (state <> 'done') not valid`;
  const came = await at.call("send_message", args);
  expect([came.isError, came.data["delivered"]]).toEqual([false, true]);
  const again = await at.allowed("send_message", args);
  expect(again.code).toBe("outcome_unknown");
});

test("a wait ends with its call", async () => {
  const running = new Running();
  const never = Promise.withResolvers<number>();
  const waited = running.until(never.promise);
  running.stop();
  expect(waited).rejects.toMatchObject({ code: "upstream_down" });
  expect(running.until(Promise.resolve(1))).rejects.toMatchObject({ code: "upstream_down" });
});

test("a value that the person did not see is not changed", async () => {
  await using at = await openShop();
  const came = await at.allowed("update_listing_price", {
    item_id: "MLA1001",
    price: 1,
    expected_price: 5,
  });
  expect([came.isError, came.code, came.data["current"]]).toEqual([true, "value_changed", 9900]);
  expect(at.shop.items.get("MLA1001")?.price).toBe(9900);
});

test("pages follow each other, and a cursor belongs to its question", async () => {
  await using at = await openShop();
  const first = await at.call("list_listings", { limit: 4 });
  const second = await at.call("list_listings", { limit: 4, cursor: first.data["next_cursor"] });
  const ids = [...first.data.rows, ...second.data.rows].map((row) => row["item_id"]);
  expect(new Set(ids).size).toBe(8);
  const wrong = await at.call("list_questions", { cursor: first.data["next_cursor"] });
  expect([wrong.isError, wrong.code]).toEqual([true, "invalid_argument"]);
});

test("sessions, switches, the loop guard and the audit trail hold here as everywhere", async () => {
  await using at = await openShop({ SMARTDASH_LOOPS: "on" });
  const visitor = newVisitor();
  await connectSeller(visitor, { url: at.world.url });
  const bearer = await mintBearer(visitor, at.world.url);
  expect((await at.call("list_questions", {}, bearer)).data["total"]).toBe(4);
  const codes: (string | undefined)[] = [];
  for (let call = 0; call < 45; call += 1) codes.push((await at.call("get_account")).code);
  expect(codes).toContain("loop_noticed");
  await at.allowed("answer_question", {
    question_id: "5001",
    expected_question: "¿Hacen factura A?",
    text: "Sí.",
  });
  const off = await runBeside(at.world, ["switch", "off", "tool:mercadolibre-shop/list_orders"]);
  expect(off.exit).toBe(0);
  expect((await at.call("list_orders")).code).toBe("switched_off");
  const answers = async () =>
    await at.world.database.open.sql`select guard from calls where name = 'answer_question'`;
  // Rows are written beside the calls.
  while ((await answers()).length < 2) await Bun.sleep(20);
  expect((await answers()).map(({ guard }) => String(guard)).toSorted()).toEqual([
    "approval_needed",
    "approved_once",
  ]);
});
