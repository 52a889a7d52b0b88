import { connect } from "node:net";
import { expect, test } from "bun:test";
import { newBearer } from "#test/support/browser-like.ts";
import { toolCall } from "#test/support/mcp.ts";
import { pointedAt } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

const [agents, callsOfEach] = [24, 25];

/** Answers after a moment; every fifth answer names another request. */
function forgetfulServer() {
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        const id = Number(/"id":(\d+)/.exec(bytes.toString())?.[1] ?? "0");
        const result = { content: [{ type: "text", text: `of ${id}` }] };
        const body = JSON.stringify({ jsonrpc: "2.0", id: id % 5 === 0 ? 999_999 : id, result });
        const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
        setTimeout(() => socket.write(head + body), id % 3);
      },
    },
  });
}

/** One call whose body comes a moment after its head: others are under way when it goes to the upstream. */
function slowlySent(url: string, bearer: string, id: number): Promise<string> {
  const body = JSON.stringify({ ...toolCall("echo", { n: id }), id });
  const { host, port } = new URL(url);
  const fields = `host: ${host}\r\nauthorization: Bearer ${bearer}\r\ncontent-type: application/json`;
  const head = `POST /mcp HTTP/1.1\r\n${fields}\r\naccept: application/json, text/event-stream\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  const answer = Promise.withResolvers<string>();
  let text = "";
  const socket = connect(Number(port), "127.0.0.1", () => {
    socket.setNoDelay(true);
    socket.write(head);
    setTimeout(() => socket.write(body), 1 + (id % 4));
  });
  socket.on("data", (bytes) => {
    text += String(bytes);
  });
  socket.on("error", answer.reject);
  socket.on("close", () => answer.resolve(text));
  return answer.promise;
}

test("an answer to another request takes no call of somebody else with it, however many are under way", async () => {
  const server = forgetfulServer();
  try {
    const environment = pointedAt(`http://127.0.0.1:${server.port}/mcp`);
    await using world = await openWorld({ environment });
    const bearer = await newBearer({ url: world.url });
    const wrong: string[] = [];
    let id = 0;
    const agent = async () => {
      for (let call = 0; call < callsOfEach; call += 1) {
        id += 1;
        const own = id;
        const text = await slowlySent(world.url, bearer, own);
        const expected = own % 5 === 0 ? "upstream_invalid" : `"text":"of ${own}"`;
        if (!text.includes(expected)) wrong.push(`${own}: ${text.slice(-300)}`);
      }
    };
    await Promise.all(Array.from({ length: agents }, agent));
    expect(wrong).toEqual([]);
  } finally {
    server.stop(true);
  }
});
