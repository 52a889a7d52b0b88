import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { randomBytes } from "node:crypto";
import { decoded } from "#src/http/decoding.ts";
import type { Sink } from "#src/http/exchange.ts";

test("a decoder that has enough to do is given no more, however often its reader asks", async () => {
  const heard: string[] = [];
  const [drained, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let upstream: Sink | undefined;
  const answer = decoded({
    status: 200,
    headers: new Map([["content-encoding", "gzip"]]),
    flow(sink) {
      upstream = sink;
      const resume = () => {
        heard.push("resume");
        drained.resolve();
      };
      return { pause: () => void heard.push("pause"), resume, cancel: () => undefined };
    },
  });
  const said = randomBytes(1024 * 1024);
  let size = 0;
  const flow = answer?.flow({
    chunk: (bytes) => (size += bytes.length),
    end: () => over.resolve(),
    fail: (error) => over.reject(error),
  });
  upstream?.chunk(new Uint8Array(gzipSync(said)));
  for (let turn = 0; turn < 20; turn += 1) {
    flow?.resume();
    flow?.pause();
  }
  expect(heard).toEqual(["pause"]);
  flow?.resume();
  await drained.promise;
  upstream?.end();
  await over.promise;
  expect({ size, heard }).toEqual({ size: said.length, heard: ["pause", "resume"] });
});
