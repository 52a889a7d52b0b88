import { expect, test } from "bun:test";
import { mercadolibreShop, shopProfiles } from "#src/upstreams/mercadolibre-shop/pack.ts";
import { post } from "#test/support/mcp.ts";
import { linkIn, openShop } from "./shop.ts";

test("a seller's agent finds the open questions, and answers one after a person's yes", async () => {
  await using at = await openShop();
  const open = await at.call("list_questions");
  expect(open.data).toMatchObject({ returned: 4, total: 4, truncated: false });
  const [question] = open.data.rows;
  expect(question).toMatchObject({ question_id: "5001", title: "Mate imperial de alpaca" });
  const args = { question_id: "5001", text: "Sí, factura A. ¡Gracias!" };
  const first = await at.call("answer_question", args);
  expect([first.code, first.isError]).toEqual(["approval_needed", true]);
  expect(at.shop.questions.get(5001)?.status).toBe("UNANSWERED");
  const page = await at.page(linkIn(first.text));
  expect(page).toContain("Publish this answer. It is public");
  expect(page).toContain("Sí, factura A. ¡Gracias!");
  expect(page).not.toContain('value="always"');
  // What is not offered is not taken either.
  expect((await at.answer(linkIn(first.text), "always")).status).toBe(400);
  expect((await at.answer(linkIn(first.text), "once")).status).toBe(200);
  const done = await at.call("answer_question", args);
  expect(done.data).toMatchObject({ status: "answered", applied: true, after: args.text });
  expect(at.shop.questions.get(5001)?.answer?.text).toBe(args.text);
  expect((await at.call("list_questions")).data["total"]).toBe(3);
  // The same again needs another yes, and then there is nothing left to answer.
  const again = await at.allowed("answer_question", args);
  expect([again.isError, again.code]).toEqual([true, "value_changed"]);
});

test("every reading tool answers over the seeded shop, below what a model takes in", async () => {
  await using at = await openShop();
  const item_id = "MLA1001";
  const inputs: Record<string, object> = {
    get_listings: { item_ids: ["MLA1001", "MLA1006", "MLA9999"] },
    get_listing_description: { item_id },
    get_listing_quality: { item_id },
    get_listing_stock: { item_id },
    get_listing_price: { item_id },
    estimate_fees: { price: 1000, category_id: "MLA1574" },
    get_order: { order_id: "2000001" },
    get_shipment: { shipment_id: "4000001", include: ["costs", "history"] },
    get_conversation: { pack_id: "3000001" },
    get_claim: { claim_id: "6000001" },
    research_market: { kind: "attributes", category_id: "MLA1574" },
    get_business_report: { kind: "ads" },
  };
  expect(shopProfiles.read).toHaveLength(21);
  const sizes: number[] = [];
  for (const name of shopProfiles.read) {
    const came = await at.call(name, inputs[name] as Record<string, unknown>);
    expect([name, came.status, came.isError, came.text.slice(0, 300)]).toEqual([
      name,
      200,
      false,
      expect.any(String),
    ]);
    const tokens = Buffer.byteLength(JSON.stringify(came.data)) / 4;
    expect(tokens).toBeLessThan(6000);
    sizes.push(tokens);
    // Nothing private of the account or of a buyer.
    expect(came.text).not.toMatch(/private@example|Private 123|555|903719925474099/);
  }
  const sorted = sizes.toSorted((a, b) => a - b);
  console.log(
    `tokens of an answer: median ${Math.round(sorted[10] ?? 0)}, largest ${Math.round(sorted[20] ?? 0)}`,
  );
});

test("the operator's profile bounds what there is; reading is the default", async () => {
  await using at = await openShop({ MELI_SHOP_PROFILE: "read" });
  const list = await post(at.url, at.bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" });
  const { result } = (await list.json()) as { result: { tools: { name: string }[] } };
  expect(result.tools.map(({ name }) => name).toSorted()).toEqual(
    [...shopProfiles.read].toSorted(),
  );
  const refused = await post(at.url, at.bearer, {
    jsonrpc: "2.0",
    id: 2,
    method: "tools/call",
    params: { name: "answer_question", arguments: { question_id: "5001", text: "x" } },
  });
  expect(await refused.text()).not.toContain('"applied":true');
  expect(at.shop.questions.get(5001)?.status).toBe("UNANSWERED");
});

test("names, schemas and hints are what clients and directories ask for", () => {
  const { tools } = mercadolibreShop;
  expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
  for (const { name, title, description, input, output, effect, asks } of tools) {
    expect(name).toMatch(/^[a-z][a-z_]{2,40}$/);
    expect(title.length).toBeGreaterThan(3);
    expect(description).toMatch(/\.$/);
    expect([name, input["type"], input["additionalProperties"], output["type"]]).toEqual([
      name,
      "object",
      false,
      "object",
    ]);
    // Whoever changes something asks, in three languages.
    expect([name, asks !== undefined]).toEqual([name, effect !== "reading"]);
  }
});
