import { expect, test } from "bun:test";
import { Cancel } from "#src/clock.ts";
import { Connection } from "#src/http/connection.ts";
import { scheduleRequest } from "#src/http/event-loop.ts";
import { LostAfterSending } from "#src/http/reason.ts";

/** A connection on a wire that notes what it is given. */
function connected() {
  const written: Uint8Array[] = [];
  const pool = { keep: () => undefined, forget: () => undefined };
  const settle = { resolve: () => undefined, reject: () => undefined };
  const connection = new Connection("http://x", pool, settle);
  connection.attach({
    write: (bytes) => written.push(bytes) && bytes.length,
    pause: () => 0,
    resume: () => 0,
    terminate: () => 0,
    ref: () => 0,
    unref: () => 0,
  });
  return { connection, written };
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

const bytes = new Uint8Array(8);

test("a request that was cancelled before it went out is never written", () =>
  besideOthers(async () => {
    const { connection, written } = connected();
    const cancel = new Cancel();
    const outcome = connection.send(bytes, "POST", cancel).catch((error: unknown) => error);
    cancel.cancel();
    expect(await outcome).toMatchObject({ isUnsent: true, hasBegun: false });
    await Bun.sleep(0);
    expect(written).toEqual([]);
  }));

test("a connection that is lost before its request went out says that nothing was sent", () =>
  besideOthers(async () => {
    const { connection, written } = connected();
    const outcome = connection.send(bytes, "POST", new Cancel()).catch((error: unknown) => error);
    connection.closed();
    const error = await outcome;
    expect(error).toBeInstanceOf(LostAfterSending);
    expect(error).toMatchObject({ isUnsent: true, hasBegun: false });
    expect(written).toEqual([]);
  }));

test("what was written is not called unsent", () =>
  besideOthers(async () => {
    const { connection, written } = connected();
    const outcome = connection.send(bytes, "POST", new Cancel()).catch((error: unknown) => error);
    await Bun.sleep(0);
    expect(written).toEqual([bytes]);
    connection.closed();
    expect(await outcome).toMatchObject({ isUnsent: false });
  }));
