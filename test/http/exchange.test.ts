import { afterAll, describe, expect, test } from "bun:test";
import { type Exchange, type OutgoingRequest, wholeBody } from "#src/http/exchange.ts";
import { Cancel } from "#src/clock.ts";
import { fetchExchange } from "#src/http/fetch-exchange.ts";
import { bunExchange } from "#src/runtime/bun.ts";
import { until } from "#test/support/until.ts";

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops) await stop();
});

function serve(fetch: (request: Request) => Response | Promise<Response>) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch });
  stops.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}/`;
}

/** A server of raw bytes: one answer for each connection's first data, then whatever `then` does. */
function serveBytes(answer: (socket: Bun.Socket<{ times: number }>, times: number) => void) {
  const seen = { connections: 0, requests: 0, closed: 0 };
  const server = Bun.listen<{ times: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        seen.connections += 1;
        socket.data = { times: 0 };
      },
      data(socket) {
        seen.requests += 1;
        socket.data.times += 1;
        answer(socket, socket.data.times);
      },
      close() {
        seen.closed += 1;
      },
    },
  });
  stops.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}/`, seen };
}

function asked(url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  const body = new Uint8Array(Buffer.from("{}"));
  return {
    url,
    method: "POST",
    headers: { "x-test": "1" },
    body,
    cancel: new Cancel(),
    ...more,
  };
}

async function textOf(exchange: Exchange, request: OutgoingRequest): Promise<string> {
  return Buffer.from(
    await wholeBody(await exchange(request), { mostBytes: 100 * 1024 * 1024 }),
  ).toString();
}

for (const [name, exchange] of Object.entries({ bunExchange, fetchExchange })) {
  describe(name, () => {
    test("sends method, path, headers and body, and gives the answer", async () => {
      const url = serve(async (request) =>
        Response.json(
          {
            method: request.method,
            url: request.url,
            test: request.headers.get("x-test"),
            body: await request.text(),
          },
          { status: 207 },
        ),
      );
      const answer = await exchange(asked(`${url}a/b?c=%20d`));
      expect(answer.status).toBe(207);
      expect(answer.headers.get("content-type")).toStartWith("application/json");
      const said = JSON.parse(Buffer.from(await wholeBody(answer, { mostBytes: 1000 })).toString());
      expect(said).toEqual({ method: "POST", url: `${url}a/b?c=%20d`, test: "1", body: "{}" });
    });

    test("a body of 4 MiB arrives whole", async () => {
      const url = serve(
        async (request) => new Response(String((await request.arrayBuffer()).byteLength)),
      );
      const body = new Uint8Array(4 * 1024 * 1024);
      expect(await textOf(exchange, asked(url, { body }))).toBe(String(body.length));
    });

    test("a hundred at once, three times over, each get their own answer", async () => {
      const url = serve(async (request) => new Response(await request.text()));
      for (let round = 0; round < 3; round++) {
        const texts = Array.from({ length: 100 }, (_, id) => `body ${round} ${id}`);
        const answers = await Promise.all(
          texts.map((text) =>
            textOf(exchange, asked(url, { body: new Uint8Array(Buffer.from(text)) })),
          ),
        );
        expect(answers).toEqual(texts);
      }
    });

    test("an aborted exchange rejects, while waiting and while the body flows", async () => {
      const gone = Promise.withResolvers<void>();
      const url = serve(async (request) => {
        request.signal.addEventListener("abort", () => gone.resolve());
        await gone.promise;
        return new Response("late");
      });
      const cancel = new Cancel();
      const waiting = exchange(asked(url, { cancel })).then(
        () => "answered",
        () => "rejected",
      );
      await Bun.sleep(50);
      cancel.cancel();
      expect(await waiting).toBe("rejected");
      await gone.promise;
    });

    test("a body that breaks off is a failure, not an end", async () => {
      const { url } = serveBytes((socket) => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        setTimeout(() => socket.end(), 20);
      });
      expect(
        await textOf(exchange, asked(url)).then(
          () => "complete",
          () => "broken",
        ),
      ).toBe("broken");
    });

    test("a body beyond the bound is refused", async () => {
      const url = serve(() => new Response("x".repeat(2000)));
      const answer = await exchange(asked(url));
      expect(
        await wholeBody(answer, { mostBytes: 1000 }).then(
          () => "read",
          () => "refused",
        ),
      ).toBe("refused");
    });
  });
}

test("a connection is used again for the next call", async () => {
  const { url, seen } = serveBytes(
    (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  for (let call = 0; call < 5; call++) expect(await textOf(bunExchange, asked(url))).toBe("ok");
  expect(seen).toEqual({ connections: 1, requests: 5, closed: 0 });
});

test("a request is never sent twice, not even when a reused connection dies under it", async () => {
  const { url, seen } = serveBytes((socket, times) => {
    if (times === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else socket.terminate();
  });
  expect(await textOf(bunExchange, asked(url))).toBe("ok");
  expect(
    await textOf(bunExchange, asked(url)).then(
      () => "answered",
      () => "failed",
    ),
  ).toBe("failed");
  expect(seen.requests).toBe(2);
});

test("bytes behind an answer cost the connection, and never become another call's answer", async () => {
  const { url, seen } = serveBytes(
    (socket) =>
      void socket.write(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
      ),
  );
  expect(await textOf(bunExchange, asked(url))).toBe("ok");
  expect(await textOf(bunExchange, asked(url))).toBe("ok");
  expect(seen.connections).toBe(2);
});

test("bytes that arrive while nobody asked cost the connection too", async () => {
  const { url, seen } = serveBytes((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), 30);
  });
  expect(await textOf(bunExchange, asked(url))).toBe("ok");
  await until(() => seen.closed === 1, "the connection is given up");
  expect(await textOf(bunExchange, asked(url))).toBe("ok");
  expect(seen.connections).toBe(2);
});

test("a header with a line break is not sent", async () => {
  const { url, seen } = serveBytes(() => undefined);
  const headers = { authorization: "Bearer x\r\nX-Evil: 1" };
  expect(
    await bunExchange(asked(url, { headers })).then(
      () => "sent",
      () => "refused",
    ),
  ).toBe("refused");
  expect(seen.requests).toBe(0);
});
