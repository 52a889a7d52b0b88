import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import { type ConnectAgent, formerAgent, modernAgent } from "#test/cli/agents.ts";
import { linkIn, sellerId } from "#test/shop/shop.ts";
import { authorizeUrl, newPkce, registerAgent } from "#test/support/agent-like.ts";
import { openWorld } from "#test/support/world.ts";
import { launchChrome, openWindow } from "./chrome.ts";
import { connect, expectQuiet } from "./pages.ts";

setDefaultTimeout(60_000);

let chrome: Browser;
beforeAll(async () => {
  chrome = await launchChrome();
});
afterAll(() => chrome.close());

const eras: readonly (readonly [string, ConnectAgent, string])[] = [
  ["the former SDK", formerAgent, "2025-11-25"],
  ["the modern SDK", modernAgent, "2026-07-28"],
];

/** 2025-11-25 asks with an error that carries the link, later revisions with an answer. */
async function linkFrom(called: Promise<string>): Promise<string> {
  const text = await called.catch((error: { data?: unknown }) => JSON.stringify(error.data));
  return linkIn(text);
}

test.each(eras)(
  "with %s: the open questions, an answer that waits for a yes in the browser, and the answer read back",
  async (_, agentOf, protocol) => {
    await using world = await openWorld({ environment: { MELI_SHOP_PROFILE: "sell" } });
    await using window = await openWindow(chrome, "es-AR");
    const { page } = window;
    await connect(page, world.url);
    const { client_id: clientId } = await registerAgent(world.url);
    const query = { resource: `${world.url}/mcp/mercadolibre-shop` };
    await page.goto(authorizeUrl({ url: world.url, clientId, pkce: newPkce(), query }));
    const asked = "Test agent quiere usar tu tienda de Mercado Libre";
    await page.getByRole("heading", { name: asked, exact: true }).waitFor();
    await page.getByText("Solo herramientas que dicen que no cambian nada").waitFor();
    await page.goto(world.url);
    await page.getByRole("button", { name: /^Crear sesión/ }).click();
    const bearer = await page.locator("output").innerText();
    await using agent = await agentOf(`${world.url}/mcp/mercadolibre-shop`, bearer);
    expect(agent.protocol).toBe(protocol);
    expect(await agent.tools()).toContain("answer_question");
    const open = JSON.parse(await agent.call("list_questions")) as {
      rows: { question_id: string; untrusted_text: string }[];
    };
    const [question] = open.rows;
    const answer = {
      question_id: question?.question_id ?? "",
      expected_question: question?.untrusted_text ?? "",
      text: "Sí, hacemos factura A.",
    };
    const waiting = await linkFrom(agent.call("answer_question", answer));
    expect(world.sandbox.api.shopOf(sellerId).questions.get(5001)?.status).toBe("UNANSWERED");
    await page.goto(waiting);
    await page
      .getByText("Publicar esta respuesta. Es pública y no se puede cambiar ni borrar:")
      .waitFor();
    await page.getByText(answer.text).waitFor();
    await page.getByText("¿Hacen factura A?").waitFor();
    expect(await page.getByRole("button").allTextContents()).toEqual([
      "No permitir",
      "Permitir esta vez",
    ]);
    await page.getByRole("button", { name: "Permitir esta vez" }).click();
    await page.getByText("Vuelve a tu agente").waitFor();
    expect(JSON.parse(await agent.call("answer_question", answer))).toMatchObject({
      status: "answered",
      after: answer.text,
      applied: true,
    });
    // The same again is another question for the person, and nothing is sent.
    expect(await linkFrom(agent.call("answer_question", answer))).not.toBe("");
    expectQuiet(window);
  },
);
