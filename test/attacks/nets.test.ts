import { gzipSync } from "node:zlib";
import { expect, test } from "bun:test";
import { binary, newFolder, start } from "#test/cli/program.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { serving } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

/** Streams of an upstream that make something throw in the middle of an event. */
const bodies: readonly (readonly [name: string, body: Uint8Array<ArrayBuffer>])[] = [
  ["an endpoint elsewhere", bytesOf("event: endpoint\ndata: https://evil.example/x\n\n")],
  ["an endpoint that is no address", bytesOf("event: endpoint\ndata: http://[\n\n")],
  ["a list of tools where none belongs", bytesOf('data: {"id":1,"result":{"tools":[]}}\n\n')],
  ["a broken list", bytesOf('data: {"id":1,"result":{"tools":[}}\n\n')],
];

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text));
}

const codings = ["identity", "gzip", "gzip that breaks off", "gzip that is none"];

test.each(codings)(
  "DoS-4: what an upstream sends ends its exchange and nothing else, and no source is printed: %s",
  async (coding) => {
    let next = new Uint8Array(0);
    await using upstream = scriptedUpstream(() => {
      const packed = coding === "gzip that is none" ? next : new Uint8Array(gzipSync(next));
      const body =
        coding === "identity"
          ? next
          : packed.subarray(0, coding.includes("breaks") ? 20 : undefined);
      return new Response(body, {
        headers: {
          "content-type": "text/event-stream",
          ...(coding === "identity" ? {} : { "content-encoding": "gzip" }),
        },
      });
    });
    await using world = await openWorld({ environment: pointedAt(upstream.url) });
    const bearer = await newBearer({ url: world.url });
    await using folder = await newFolder();
    const environment = { ...world.environment, LOG_LEVEL: "info" };
    await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
    const [, url = ""] = await gateway.says(serving);
    for (const [name, body] of bodies) {
      next = body;
      for (const method of ["GET", "POST"]) {
        const answer = await fetch(`${url}/mcp`, {
          method,
          headers: { authorization: `Bearer ${bearer}`, accept: "text/event-stream" },
          ...(method === "POST" ? { body: JSON.stringify(toolCall("x")) } : {}),
          signal: AbortSignal.timeout(10_000),
        });
        const text = await answer.text();
        // The address of a 2024-11-05 stream, which a client would post to: nowhere else does one matter.
        if (method === "GET")
          expect([name, text]).not.toEqual([name, expect.stringContaining("evil")]);
      }
      expect((await fetch(`${url}/livez`)).status).toBe(200);
    }
    expect((await post(`${url}/mcp`, bearer, toolCall("y"))).status).toBe(200);
    const { exit, stdout, stderr } = await gateway.end("SIGTERM");
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    // Every error had somebody who caught it.
    expect(stdout).not.toContain('"event":"uncaught"');
    expect(stdout).not.toContain('"event":"internal"');
  },
  60_000,
);
