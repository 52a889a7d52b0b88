import { expect, test } from "bun:test";
import { standardErrors } from "#src/providers/provider.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { connectSeller, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";
import { runBeside } from "./run.ts";

type Answer = { answer: string; outcome: string; account: string; isProviderClosed: boolean };

test("refresh --simulate shows the account, what would be sent, and what every answer leads to; it asks nobody", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const told = await runBeside(world, [
    "refresh",
    "--simulate",
    "mercadolibre:100200300",
    "--json",
  ]);
  expect(told.exit).toBe(0);
  expect(provider.asked.refresh_token).toBe(0);
  const { accounts, providers } = told.json as {
    accounts: Record<string, unknown>[];
    providers: { provider: string; answers: Answer[] }[];
  };
  expect(accounts).toMatchObject([
    {
      account: "mercadolibre:100200300",
      state: "active",
      generation: 1,
      openAttempts: 0,
      lease: null,
    },
  ]);
  expect(JSON.stringify(accounts)).toContain("POST http://127.0.0.1");
  expect(told.stdout).not.toMatch(/TG-\w|APP_USR-\w|sandbox-client-secret/);
  const [simulated] = providers;
  expect(simulated?.provider).toBe("mercadolibre");
  const by = new Map(simulated?.answers.map((each) => [each.answer, each]));
  expect(by.get("200 with tokens")).toMatchObject({ outcome: "renewed", account: "active" });
  expect(by.get("400 invalid_grant")).toMatchObject({
    outcome: "reconnect_needed",
    account: "reconnect_required",
  });
  expect(by.get("400 unauthorized_application")).toMatchObject({
    outcome: "provider_refuses_application",
    account: "active",
    isProviderClosed: true,
  });
  expect(by.get("403 with a firewall's page")).toMatchObject({ account: "active" });
  // Every rule of the profile is one of the answers.
  expect(by.size).toBeGreaterThanOrEqual(new Set([...mercadolibre.errors, ...standardErrors]).size);
});

test("refresh renews for real, once, beside a gateway that serves", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const done = await runBeside(world, ["refresh", "mercadolibre:100200300", "--json"]);
  expect({ exit: done.exit, ...done.json }).toMatchObject({ exit: 0, generation: 2 });
  expect(provider.asked.refresh_token).toBe(1);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  provider.faults.push({ kind: "status", status: 400, body: { error: "invalid_grant" } });
  const dead = await runBeside(world, ["refresh", "mercadolibre:100200300", "--json"]);
  expect(dead.json).toMatchObject({
    error: { code: "reconnect_needed", doc: "docs/errors.md#reconnect_needed" },
  });
  expect((await runBeside(world, ["refresh"])).exit).toBe(2);
});
