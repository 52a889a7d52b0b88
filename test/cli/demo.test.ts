import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type Agent, type ConnectAgent, formerAgent, modernAgent } from "./agents.ts";
import {
  type Folder,
  type Program,
  binary,
  databasePid,
  isAlive,
  newFolder,
  run,
  start,
} from "./program.ts";

setDefaultTimeout(60_000);

type Demo = { readonly program: Program; readonly url: string; readonly output: string };

async function startDemo(folder: Folder): Promise<Demo> {
  const environment = { PORT: "0", SMARTDASH_HOME: folder.path };
  const program = start([binary(), "demo"], { cwd: folder.path, environment });
  const [, url = ""] = await program.says(/open (http:\S+)[^]*Ctrl-C/);
  return { program, url, output: program.stdout() };
}

describe("smartdash demo", () => {
  let folder: Folder;
  let demo: Demo;

  beforeAll(async () => {
    folder = await newFolder();
    demo = await startDemo(folder);
  });
  afterAll(async () => {
    await demo.program[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("says where to go, in plain text", async () => {
    expect(demo.output).toContain(`${demo.url}/mcp/mercadolibre`);
    expect(demo.output).toContain(`${demo.url}/mcp/airtable`);
    expect(demo.output).not.toContain("\u001b");
    expect((await fetch(`${demo.url}/health`)).status).toBe(200);
  });

  const eras: readonly [string, ConnectAgent, string][] = [
    ["the former SDK", formerAgent, "2025-11-25"],
    ["the modern SDK", modernAgent, "2026-07-28"],
  ];
  for (const [name, connect, protocol] of eras) {
    test(`an agent built on ${name} lists, calls, reads, prompts and sees progress`, async () => {
      const bearer = await newBearer({ url: demo.url });
      await using agent = await connect(`${demo.url}/mcp/mercadolibre`, bearer);
      expect(agent.protocol).toBe(protocol);
      await expectShop(agent);
    });
  }

  test("one person connects Mercado Libre and Airtable, and each has a bearer of its own", async () => {
    const visitor = newVisitor();
    const { url } = demo;
    await connectSeller(visitor, { url, seller: "100200301" });
    await connectSeller(visitor, { url, provider: "airtable", seller: "100200301" });
    const seen = new Set<string>();
    for (const which of [0, 1]) {
      const bearer = await mintBearer(visitor, url, which);
      for (const name of ["mercadolibre", "airtable"]) {
        const answer = await post(`${url}/mcp/${name}`, bearer, toolCall("whoami"));
        if (answer.status === 200) seen.add(`${which} ${name}`);
        const text = await answer.text();
        expect(text).toContain(answer.status === 200 ? "LOJA_EXEMPLO" : "account_mismatch");
      }
    }
    expect([...seen].toSorted()).toEqual(
      [...seen].some((each) => each === "0 airtable")
        ? ["0 airtable", "1 mercadolibre"]
        : ["0 mercadolibre", "1 airtable"],
    );
  });

  test("a second demo on the same home is refused and disturbs nothing", async () => {
    const environment = { PORT: "0", SMARTDASH_HOME: folder.path };
    const { exit, stdout, stderr } = await run(["demo"], { cwd: folder.path, environment });
    expect({ exit, stdout }).toEqual({ exit: 75, stdout: "" });
    expect(stderr).toContain("code: home_in_use");
    expect(stderr).toContain("hint:");
    expect((await fetch(`${demo.url}/readyz`)).status).toBe(200);
  });
});

test("Ctrl-C ends the demo with its database; started again it knows the bearer, and says what it has lost", async () => {
  await using folder = await newFolder();
  const first = await startDemo(folder);
  const bearer = await newBearer({ url: first.url });
  const pid = (await databasePid(join(folder.path, "demo/data"))) ?? 0;
  expect(isAlive(pid)).toBe(true);
  expect((await first.program.end("SIGINT")).exit).toBe(0);
  expect(isAlive(pid)).toBe(false);
  expect(await fetch(`${first.url}/livez`).catch(() => "refused")).toBe("refused");

  const again = await startDemo(folder);
  await using program = again.program;
  // The simulated provider lives in memory: its new self has never heard of this seller's tokens.
  const answer = await post(`${again.url}/mcp/mercadolibre`, bearer, toolCall("whoami", {}, 7));
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    jsonrpc: "2.0",
    id: 7,
    result: {
      isError: true,
      _meta: {
        "smartdash/failure": {
          code: "reconnect_needed",
          url: expect.stringMatching(new RegExp(`^${again.url}/accounts/[0-9a-f-]{36}/reconnect$`)),
        },
      },
    },
  });
  await connectSeller(newVisitor(), { url: again.url });
  expect((await post(`${again.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  // npm passes on the signal that the terminal has sent to all: it comes twice, and ends all in order still.
  const database = (await databasePid(join(folder.path, "demo/data"))) ?? 0;
  process.kill(program.pid, "SIGINT");
  expect((await program.end("SIGTERM")).exit).toBe(0);
  expect([database > 0, isAlive(database)]).toEqual([true, false]);
});

async function expectShop(agent: Agent): Promise<void> {
  expect(await agent.tools()).toEqual(
    expect.arrayContaining(["whoami", "list_items", "list_orders", "answer_question"]),
  );
  expect(await agent.call("whoami")).toContain("TIENDA_DEMO");
  expect(await agent.call("echo", { text: "¿Hay envío?" })).toBe("¿Hay envío?");
  expect(await agent.read("shop://about")).toContain("TIENDA_DEMO");
  expect(await agent.read("shop://items/MLA1002")).toContain("Termo de acero");
  expect(await agent.prompt("daily_report")).toContain("TIENDA_DEMO");
  expect(await agent.progressOf("recount_stock")).toEqual([1, 2, 3, 4, 5]);
}
