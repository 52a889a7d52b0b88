import { expect, test } from "bun:test";
import { befriend, callTool, openNode } from "./nodes.ts";
import { allActed } from "#test/support/acknowledged.ts";

test("a call goes to a node behind this one once both trust each other, and no more once one forgets", async () => {
  await using first = await openNode("first");
  await using third = await openNode("third");
  const bearer = await first.bearer();
  const call = () => callTool(first, bearer, { node: third.nodeId, name: "only_here" });
  expect((await call()).status).toBe(404);
  // One side alone is not enough.
  await first.run("peers", "trust", third.peerId, "--address", third.url);
  const alone = await call();
  expect([alone.status, await alone.text()]).toEqual([
    403,
    expect.stringContaining("peer_not_trusted"),
  ]);
  await befriend(first, third);
  const answer = await call();
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { content: [{ type: "text", text: "third only_here" }] },
  ]);
  // Its peer id is one of its names.
  const byPeerId = { node: third.peerId, name: "only_here" };
  expect((await callTool(first, bearer, byPeerId)).status).toBe(200);
  const listed = await first.run("peers", "list", "--json");
  expect(listed.json["peers"]).toEqual([
    expect.objectContaining({ node_id: third.nodeId, trust: "pinned", addresses: [third.url] }),
  ]);
  await third.run("peers", "forget", first.nodeId);
  const nobody = await third.run("peers", "forget", "nobody");
  expect([nobody.exit, nobody.stderr]).toEqual([
    1,
    expect.stringContaining("No node called nobody is trusted here"),
  ]);
  const refused = await call();
  expect([refused.status, await refused.text()]).toEqual([
    403,
    expect.stringContaining("peer_not_trusted"),
  ]);
});

test("a node with a new key is another node: nobody is trusted any more, here and there", async () => {
  await using first = await openNode("first");
  await using third = await openNode("third");
  await befriend(first, third);
  const bearer = await first.bearer();
  const call = () => callTool(first, bearer, { node: third.nodeId, name: "x" });
  expect((await call()).status).toBe(200);
  const rotated = await third.run("node", "rotate", "--yes");
  expect([rotated.exit, rotated.stderr]).toEqual([0, expect.stringContaining("anew: 1.")]);
  await allActed(third.world.app.db);
  // The gateway goes on with its old key, for which nobody is trusted any more.
  expect((await call()).status).toBe(403);
  expect((await third.run("peers", "list", "--json")).json["peers"]).toEqual([]);
});
