import { expect, test } from "bun:test";
import { startBeside } from "#test/attacks/setup.ts";
import { prove } from "#src/edge/peers/transcript.ts";
import { selfOf } from "#src/edge/self.ts";
import { befriend, openNode } from "./nodes.ts";

test("a challenge that one replica of a node has begun is finished by another, and answered once by both", async () => {
  await using asking = await openNode("asking");
  await using node = await openNode("node");
  await befriend(asking, node);
  await using other = await startBeside(node.world, { PUBLIC_URL: node.url });
  let turn = 0;
  // What a load balancer does.
  const balancer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const body = await request.text();
      const port = turn++ % 2 === 0 ? node.world.gateway.port : other.port;
      return await fetch(`http://127.0.0.1:${port}${pathname}`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", host: new URL(node.url).host },
      });
    },
  });
  const own = selfOf(asking.world.app);
  // One begins, the other finishes; the first does not take it a second time.
  const post = (path: string, body: string) =>
    fetch(`http://localhost:${balancer.port}${path}`, { method: "POST", body });
  const nonce = "n".repeat(43);
  const begun = await post(
    "/discovery/challenge",
    JSON.stringify({ document: own.document(), nonce }),
  );
  const said = (await begun.json()) as Record<string, string>;
  const transcript = {
    from: own.node.peerId,
    to: node.peerId,
    fromNonce: nonce,
    toNonce: said["nonce"] ?? "",
    origin: said["origin"] ?? "",
    certificate: null,
  };
  const body = JSON.stringify({ id: said["id"], ...prove(own, "response", transcript) });
  const [first, second] = [
    await post("/discovery/response", body),
    await post("/discovery/response", body),
  ];
  expect([first.status, second.status]).toEqual([200, 403]);
  await balancer.stop(true);
});
