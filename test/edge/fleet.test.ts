import { expect, test } from "bun:test";
import { startFleet } from "../../scripts/fleet/fleet.ts";
import { runRecipe } from "../../scripts/fleet/recipes.ts";
import { binary } from "#test/cli/program.ts";
import { callTool, found, openNode } from "./nodes.ts";
import { until } from "#test/support/until.ts";

const hasTools = Bun.which("curl") !== null && Bun.which("jq") !== null;

test.skipIf(!hasTools)(
  "three nodes of the compiled binary: the three recipes pass (with curl and jq)",
  async () => {
    const program = [binary()] as const;
    await using fleet = await startFleet(program, 3);
    for (const recipe of ["recipe-1-fleet.sh", "recipe-2-oauth.sh", "recipe-3-discovery.sh"]) {
      const { exit, text } = await runRecipe(fleet, program, recipe);
      console.log(`${recipe}\n${text}`);
      expect([recipe, exit]).toEqual([recipe, 0]);
    }
  },
  180_000,
);

test("who has the key of the fleet is trusted when it is met, and one who was forgotten is not", async () => {
  const key = Buffer.alloc(32, 7).toString("base64");
  const own = {
    SMARTDASH_FLEET_KEY: key,
    SMARTDASH_EDGE_DISCOVERY: "mdns",
    SMARTDASH_EDGE_INTERFACE: "127.0.0.1",
  };
  await using first = await openNode("first", own);
  await using second = await openNode("second", own);
  await using stranger = await openNode("stranger", {
    ...own,
    SMARTDASH_FLEET_KEY: Buffer.alloc(32, 8).toString("base64"),
  });
  const bearer = await first.bearer();
  const call = async (node: string) => (await callTool(first, bearer, { node, name: "x" })).status;
  for (const node of [second, stranger]) await found(first, node);
  expect(await call(second.nodeId)).toBe(200);
  expect(await call(stranger.nodeId)).toBe(403);
  await second.run("peers", "forget", first.nodeId);
  expect(await call(second.nodeId)).toBe(403);
  // The operator's word is the last: trusted anew, it is let in.
  await second.run("peers", "trust", first.peerId);
  await until(async () => (await call(second.nodeId)) === 200, "it is let in again");
});
