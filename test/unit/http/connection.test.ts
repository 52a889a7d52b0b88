import { expect, test } from "bun:test";
import { Cancel } from "#src/clock.ts";
import { Connection } from "#src/http/connection.ts";
import { encodeRequest, targetOf } from "#src/http/http1.ts";
import { scheduleRequest } from "#src/http/event-loop.ts";
import { LostAfterSending } from "#src/http/reason.ts";

/** A connection on a wire that notes what it is given, and takes so many bytes of it. */
function connected(taken = Number.POSITIVE_INFINITY) {
  const written: string[] = [];
  const heard: string[] = [];
  const pool = { keep: () => undefined, forget: () => undefined };
  const settle = { resolve: () => undefined, reject: () => undefined };
  const connection = new Connection("http://x", pool, settle);
  connection.attach({
    write(bytes, offset, length) {
      const took = Math.min(taken, length);
      written.push(Buffer.from(bytes.subarray(offset, offset + took)).toString("latin1"));
      return took;
    },
    pause: () => heard.push("pause"),
    resume: () => heard.push("resume"),
    terminate: () => 0,
    ref: () => 0,
    unref: () => 0,
  });
  return { connection, written, heard };
}

/** While two requests are served, what is sent waits for the others of its turn. */
async function besideOthers(work: () => Promise<void>): Promise<void> {
  const held = Promise.withResolvers<void>();
  const others = [scheduleRequest(() => held.promise), scheduleRequest(() => held.promise)];
  try {
    await work();
  } finally {
    held.resolve();
    for (const other of others) await other;
  }
}

const requestOf = (body: string) =>
  encodeRequest(
    { method: "POST", headers: {}, body: new Uint8Array(Buffer.from(body)) },
    targetOf("http://x/mcp"),
  );
const bytesFor = (body: string) =>
  `POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
const request = requestOf("12345678");

test("a request that was cancelled before it went out is never written", () =>
  besideOthers(async () => {
    const { connection, written } = connected();
    const cancel = new Cancel();
    const outcome = connection.send(request, "POST", cancel).catch((error: unknown) => error);
    cancel.cancel();
    expect(await outcome).toMatchObject({ isUnsent: true, hasBegun: false });
    await Bun.sleep(0);
    expect(written).toEqual([]);
  }));

test("a connection that is lost before its request went out says that nothing was sent", () =>
  besideOthers(async () => {
    const { connection, written } = connected();
    const outcome = connection.send(request, "POST", new Cancel()).catch((error: unknown) => error);
    connection.closed();
    const error = await outcome;
    expect(error).toBeInstanceOf(LostAfterSending);
    expect(error).toMatchObject({ isUnsent: true, hasBegun: false });
    expect(written).toEqual([]);
  }));

test("what was written is not called unsent", () =>
  besideOthers(async () => {
    const { connection, written } = connected();
    const outcome = connection.send(request, "POST", new Cancel()).catch((error: unknown) => error);
    await Bun.sleep(0);
    expect(written).toEqual([bytesFor("12345678")]);
    connection.closed();
    expect(await outcome).toMatchObject({ isUnsent: false });
  }));

test.each([100, 40_000])(
  "what the kernel has not taken of %d bytes goes out when it has room, whatever was sent elsewhere meanwhile",
  async (size) => {
    const slow = connected(70);
    const body = "a".repeat(size);
    void slow.connection.send(requestOf(body), "POST", new Cancel()).catch(() => undefined);
    const other = connected();
    void other.connection
      .send(requestOf("b".repeat(size)), "POST", new Cancel())
      .catch(() => undefined);
    await Bun.sleep(0);
    expect(other.written).toEqual([bytesFor("b".repeat(size))]);
    expect(slow.written).toEqual([bytesFor(body).slice(0, 70)]);
    for (let drains = 0; drains < size; drains += 70) slow.connection.drained();
    expect(slow.written.join("")).toBe(bytesFor(body));
    slow.connection.closed();
    other.connection.closed();
  },
);

test("a listener who takes one piece at a time is sent no more while others wait", async () => {
  const { connection, heard } = connected();
  const answering = connection.send(request, "POST", new Cancel());
  const [pieces, size] = [8, 64 * 1024];
  const piece = `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;
  const head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
  connection.receive(new Uint8Array(Buffer.from(head + piece.repeat(pieces))));
  const answer = await answering;
  let taken = 0;
  const flow = answer.flow({
    chunk() {
      taken += 1;
      flow.pause();
    },
    end: () => undefined,
    fail: () => undefined,
  });
  for (let turn = 1; turn <= pieces; turn += 1) {
    flow.resume();
    expect({ taken, heard }).toEqual({ taken: turn, heard: ["pause"] });
  }
  flow.resume();
  expect(heard).toEqual(["pause", "resume"]);
  connection.closed();
});
