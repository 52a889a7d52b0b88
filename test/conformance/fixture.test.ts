import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Fixture, startFixture } from "./fixture.ts";
import { startShim } from "./shim.ts";
import { type Check, differences, readChecks, runSuite } from "./suite.ts";

const twoMinutes = 120_000;

let fixture: Fixture;
let room: string;
let direct: Check[];

beforeAll(async () => {
  fixture = await startFixture();
  room = await mkdtemp(join(tmpdir(), "conformance-"));
  direct = await everyCheck("direct", fixture.url);
}, twoMinutes);

afterAll(async () => {
  await fixture.stop();
  await rm(room, { recursive: true });
});

for (const revision of ["2025-11-25", "2026-07-28"]) {
  test(
    `the fixture passes every ${revision} requirement on its own`,
    async () => {
      const { exitCode, output } = await suite(`own-${revision}`, fixture.url, [
        "--requirements",
        revision,
      ]);
      expect(exitCode, output).toBe(0);
    },
    twoMinutes,
  );
}

test("the fixture fails none of the suite's checks", () => {
  const failed = direct.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  expect(failed).toEqual([]);
});

test(
  "a proxy that changes nothing shows no difference",
  async () => {
    await using proxy = startProxy((request) => forward(request));
    expect(differences(direct, await everyCheck("transparent", proxy.url))).toEqual([]);
  },
  twoMinutes,
);

test(
  "a proxy that drops Last-Event-ID and refuses GET shows differences",
  async () => {
    await using proxy = startProxy((request) => {
      if (request.method === "GET") return new Response(null, { status: 405 });
      request.headers.delete("last-event-id");
      return forward(request);
    });
    const found = differences(direct, await everyCheck("faulty", proxy.url));
    expect(found.length).toBeGreaterThan(0);
    expect(found.join("\n")).toContain("server-sse-disconnect-resume");
  },
  twoMinutes,
);

test(
  "the shim shows no difference and adds its token to every request",
  async () => {
    const tokens = new Set<string | null>();
    await using proxy = startProxy((request) => {
      tokens.add(request.headers.get("authorization"));
      return forward(request);
    });
    const shim = await startShim({ targetPort: proxy.port, token: "the-token" });
    try {
      const through = await everyCheck("shim", `http://127.0.0.1:${shim.port}/mcp`);
      expect(differences(direct, through)).toEqual([]);
      expect([...tokens]).toEqual(["Bearer the-token"]);
    } finally {
      await shim.stop();
    }
  },
  twoMinutes,
);

test("the shim closes the upstream request when its client goes away", async () => {
  const closed = Promise.withResolvers<string>();
  await using upstream = startProxy((request) => {
    request.signal.addEventListener("abort", () => closed.resolve("closed"));
    const events = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(": open\n\n"));
      },
    });
    return new Response(events, { headers: { "content-type": "text/event-stream" } });
  });
  const shim = await startShim({ targetPort: upstream.port, token: "the-token" });
  try {
    const client = new AbortController();
    await fetch(`http://127.0.0.1:${shim.port}/mcp`, { signal: client.signal });
    client.abort();
    const tooLate = Bun.sleep(5000).then(() => "still open");
    expect(await Promise.race([closed.promise, tooLate])).toBe("closed");
  } finally {
    await shim.stop();
  }
}, 10_000);

/** `--suite all` speaks 2025-11-25 wherever it can: the same names are run on the new wire too. */
async function everyCheck(name: string, url: string): Promise<Check[]> {
  const [wide, modern] = [`${name}-all`, `${name}-2026-07-28`];
  await Promise.all([
    suite(wide, url, ["--suite", "all"]),
    suite(modern, url, ["--requirements", "2026-07-28"]),
  ]);
  const [one, other] = await Promise.all([wide, modern].map((dir) => readChecks(join(room, dir))));
  return [...one!, ...other!];
}

function suite(name: string, url: string, args: string[]) {
  return runSuite({ url, args, outDir: join(room, name), timeoutSeconds: 60 });
}

function startProxy(answer: (request: Request) => Response | Promise<Response>) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    port: server.port!,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function forward({ method, headers, body, signal }: Request): Promise<Response> {
  return fetch(fixture.url, { method, headers, body, signal, redirect: "manual" });
}
