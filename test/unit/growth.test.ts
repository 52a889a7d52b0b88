import { expect, test } from "bun:test";
import { Glob } from "bun";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { analyse } from "scslre";
import { ResponseInspector } from "#src/proxy/response-inspector.ts";
import { SseSplitter, ByteBuffer } from "#src/proxy/sse.ts";
import { scanJson, canonicalJson, parseExactly } from "#src/json.ts";
import { readCall } from "#src/proxy/message.ts";
import { listIn, mayHoldToolList } from "#src/proxy/inspection.ts";
import { asFailure } from "#src/failure.ts";
import { suspectsIn } from "#src/telemetry/find-secrets.ts";
import { redact } from "#src/telemetry/redact.ts";
import { answerIn } from "#src/edge/message-in.ts";
import { isLong } from "#test/support/rounds.ts";

const root = join(import.meta.dir, "../..");

/** Where a regular expression may stand in a program. */
const literal =
  /(?<=[(=,:[!&|?;{}\n]\s*|return\s+|=>\s*)\/(?![*/])((?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([dgimsuvy]*)/g;

test("no regular expression of ours can cost more than its text is long", () => {
  const files = [...new Glob("{src,cli,db}/**/*.ts").scanSync({ cwd: root })];
  const all = files.flatMap((file) =>
    [...readFileSync(join(root, file), "utf8").matchAll(literal)].map(
      ([whole, source = "", flags]) => ({ file, whole, expression: new RegExp(source, flags) }),
    ),
  );
  expect(all.length).toBeGreaterThan(150);
  const slow = all.filter(({ expression }) => analyse(expression).reports.length > 0);
  expect(slow.map(({ file, whole }) => `${file} ${whole}`)).toEqual([]);
  // It would find the two that were there.
  expect(analyse(/^0+|0+$/g).reports).not.toEqual([]);
  expect(analyse(/[\w+/-]*c2Rf[\w+/-]{20,}/g).reports).not.toEqual([]);
});

const codeOf = (work: () => unknown) => {
  try {
    work();
    return "passed";
  } catch (error) {
    return asFailure(error).code;
  }
};

test("what costs more to read than its bytes are worth is refused before anything is made of it", () => {
  expect(codeOf(() => scanJson(`[1${"0".repeat(999)}]`))).toBe("passed");
  expect(codeOf(() => scanJson(`[1${"0".repeat(1000)}]`))).toBe("message_invalid");
  expect(codeOf(() => scanJson(`[-0.${"9".repeat(60_000)}1]`))).toBe("message_invalid");
  expect(codeOf(() => scanJson(`["${"1".repeat(60_000)}"]`))).toBe("passed");
  const objects = (count: number) => JSON.stringify(Array.from({ length: count }, () => ({})));
  // Each is an element and an object of its own.
  expect(codeOf(() => scanJson(objects(9999)))).toBe("passed");
  expect(codeOf(() => scanJson(objects(10_001)))).toBe("message_invalid");
  const keys = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, key) => [`k${key}`, 1])));
  expect(codeOf(() => scanJson(keys(20_000)))).toBe("passed");
  expect(codeOf(() => scanJson(keys(20_001)))).toBe("message_invalid");
  expect(codeOf(() => scanJson(`${"[".repeat(201)}${"]".repeat(201)}`))).toBe("message_invalid");
});

test("nothing that is not JSON is looked at beyond the bound either", () => {
  for (const text of [",".repeat(1e6), "{".repeat(1e6), '{"a":'.repeat(1e5), "1e1".repeat(1e5)]) {
    expect(codeOf(() => scanJson(text))).toBe("message_invalid");
  }
});

/** The worst that we know for each, so many characters long. */
const worst: Readonly<Record<string, (size: number) => unknown>> = {
  "a number of many digits": (size) => canonicalJson(parseExactly(`1${"0".repeat(size)}1`)),
  "a number of zeros": (size) => canonicalJson(parseExactly(`0.${"0".repeat(size)}`)),
  "an exponent of many digits": (size) => canonicalJson(parseExactly(`1e${"0".repeat(size)}1`)),
  "redact: one run of letters": (size) => redact("a".repeat(size)),
  "redact: a run that begins like base64 of a token, again and again": (size) =>
    redact("c2Rfc2VzX".repeat(size / 9)),
  "redact: what may be a token, again and again": (size) => redact("eyJ-".repeat(size / 4)),
  "redact: tokens, one after the other": (size) =>
    redact("eyJaa.bbbbbbbbbbbbb.cc ".repeat(size / 23)),
  "redact: schemes without a credential": (size) => redact("Bearer ".repeat(size / 7)),
  "redact: a scheme and blanks": (size) => redact(`Bearer ${" ".repeat(size)}`),
  "redact: names without a value": (size) => redact("password ".repeat(size / 9)),
  "redact: a name and backslashes": (size) => redact(`password${"\\".repeat(size)}`),
  "redact: addresses of databases": (size) => redact("postgres://a:".repeat(size / 13)),
  "suspects: what may be a token, again and again": (size) =>
    suspectsIn("eyJ-".repeat(size / 4), 1, []),
  "suspects: addresses of databases": (size) =>
    suspectsIn("postgres://a:".repeat(size / 13), 1, []),
  "suspects: dots": (size) => suspectsIn("eyJ.".repeat(size / 4), 1, []),
  "a list: quotes": (size) => mayHoldToolList(Buffer.from('"t'.repeat(size / 2))),
  "a list: escapes": (size) => mayHoldToolList(Buffer.from("\\u00".repeat(size / 4))),
  "a list: backslashes before a quote": (size) => listIn(`{"tools":"${"\\\\".repeat(size / 2)}"}`),
  "a scan: backslashes": (size) => codeOf(() => scanJson(`["${"\\\\".repeat(size / 2)}"]`)),
  "a scan: escaped quotes": (size) => codeOf(() => scanJson(`["${'\\"'.repeat(size / 2)}"]`)),
  "a message: a long text": (size) =>
    readCall(
      new Request("http://localhost/", {
        method: "POST",
        body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":"${"\\n".repeat(size / 2)}"}}}`,
      }),
    ),
  "a stream: one event in small pieces": (size) => {
    const [cutter, event] = [new SseSplitter(), new ByteBuffer()];
    const piece = new Uint8Array(64).fill(97);
    for (let sent = 0; sent < size; sent += piece.length)
      for (const { bytes } of cutter.cut(piece)) event.add(bytes);
  },
  "a stream: one event in pieces of one byte": (size) => {
    const deaf = { chunk: () => undefined, end: () => undefined, fail: () => undefined };
    const screen = () => Promise.resolve(undefined);
    const inspection = { caller: "x", id: null, status: 200, screen, ended: undefined };
    const inspector = new ResponseInspector(deaf, inspection, true);
    const piece = new Uint8Array([0x78]);
    const pieces = isLong ? size : 16 * size;
    for (let sent = 0; sent < pieces; sent += 1) inspector.chunk(piece);
  },
  "a stream: line ends": (size) => {
    const cutter = new SseSplitter();
    cutter.cut(new Uint8Array(Buffer.from("\r".repeat(size))));
  },
  "a peer's answer: one event in small pieces": (size) => {
    const piece = new Uint8Array(1024).fill(97);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(out) {
        sent += piece.length;
        if (sent > size) out.close();
        else out.enqueue(piece);
      },
    });
    const headers = { "content-type": "text/event-stream" };
    return answerIn(new Response(body, { headers }), 1, new AbortController().signal);
  },
};

/** Milliseconds of CPU, the least of five. */
async function cpuOf(work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let turn = 0; turn < 5; turn += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

const [attempts, mostGrowth] = [5, 3];
const [once, twice] = isLong ? [2_000_000, 4_000_000] : [32_000, 64_000];

test.each(Object.entries(worst))(
  "%s costs as much as it is long",
  async (_, run) => {
    if (!isLong) {
      // What grows with the square would take minutes.
      await run(twice);
      return;
    }
    // Whatever else the machine does only adds to it: what grows with the square does so every time.
    let ratio = Infinity;
    for (let attempt = 0; attempt < attempts && ratio >= mostGrowth; attempt += 1) {
      const [less, more] = [await cpuOf(() => run(once)), await cpuOf(() => run(twice))];
      console.log(`${less.toFixed(1)} ms, twice as long ${more.toFixed(1)} ms`);
      // Below a few milliseconds there is nothing to compare.
      ratio = more / Math.max(less, 5);
    }
    expect(ratio).toBeLessThan(mostGrowth);
  },
  120_000,
);
