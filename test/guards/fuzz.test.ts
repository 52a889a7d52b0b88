import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { isObject, canonicalJson, parseExactly } from "#src/json.ts";
import { type Call, readCall } from "#src/proxy/message.ts";
import { checkHeaders, checkMirrors } from "#src/proxy/headers.ts";
import { asFailure } from "#src/failure.ts";
import { check, isSameJson } from "#test/support/property.ts";

/** How many cases each property is tried with; together more than 100,000. */
const cases = 40_000;

type Message = Readonly<Record<string, unknown>>;

const names = fc.constantFrom(
  "get_item",
  "drop",
  "dröp",
  "",
  " ",
  "a\u0000b",
  "=?base64?ZHJvcA==?=",
);
const methods = fc.constantFrom(
  "tools/call",
  "tools/list",
  "initialize",
  "notifications/x",
  "prompts/get",
  "",
  "TOOLS/CALL",
);
const keys = fc.constantFrom(
  "jsonrpc",
  "id",
  "method",
  "params",
  "Method",
  "name",
  "arguments",
  "result",
  "error",
  "_meta",
  "inputResponses",
  "requestState",
  "x",
);
const numbers = fc.constantFrom(
  "1",
  "-0",
  "1e400",
  "12345678901234567890",
  "0.1000000000000000055",
  "1E5",
  "9007199254740993",
);
const parameters = fc.record(
  {
    name: fc.oneof(names, fc.integer()),
    arguments: fc.jsonValue({ maxDepth: 3 }),
    requestState: names,
    _meta: fc.jsonValue({ maxDepth: 1 }),
  },
  { requiredKeys: [] },
);
const messages = fc.record(
  {
    jsonrpc: fc.constant("2.0"),
    id: fc.oneof(fc.integer(), fc.string(), fc.constant(null)),
    method: methods,
    params: fc.oneof(parameters, fc.jsonValue({ maxDepth: 1 })),
  },
  { requiredKeys: ["jsonrpc"] },
);

/** JSON as no serializer would write it: keys twice, escapes, blanks, numbers of any length, cut off or with more behind. */
const oddJson: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    numbers,
    fc.constantFrom("true", "null", '"\\u0064rop"', '"a\\"b"', '"\\ud800"', '""'),
    fc.string().map((text) => JSON.stringify(text)),
    fc.array(tie("value"), { maxLength: 3 }).map((values) => `[${values.join(" ,")}]`),
    fc
      .array(fc.tuple(keys, fc.boolean(), tie("value")), { maxLength: 4 })
      .map(
        (members) =>
          `{${members.map(([key, isEscaped, value]) => `${written(key, isEscaped)} :${value}`).join(",")}}`,
      ),
  ),
})).value;

function written(key: string, isEscaped: boolean): string {
  if (!isEscaped || key === "") return JSON.stringify(key);
  const code = key.charCodeAt(0).toString(16).padStart(4, "0");
  return `"\\u${code}${key.slice(1)}"`;
}

const bodies = fc.oneof(
  messages.map((message) => JSON.stringify(message)),
  fc.array(messages, { maxLength: 3 }).map((batch) => JSON.stringify(batch)),
  oddJson,
  fc.tuple(oddJson, fc.string({ maxLength: 3 })).map(([json, more]) => json + more),
  fc.string(),
);

function requestWith(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Request {
  return new Request("http://localhost/mcp", { method: "POST", body, headers });
}

function messagesIn(json: string): readonly Message[] {
  const value: unknown = JSON.parse(json);
  return (Array.isArray(value) ? value : [value]) as readonly Message[];
}

/** Whether every message that is sent was judged, and what a person would agree to is what the upstream reads. */
function isJudgedRightly(call: Call): boolean {
  const sent = new TextDecoder().decode(call.body);
  const areKnown = messagesIn(sent).every(({ method, params }) => {
    if (typeof method === "string" && !call.rpcMethods.includes(method)) return false;
    const name = isObject(params) ? params["name"] : undefined;
    if (method !== "tools/call" || typeof name !== "string") return true;
    return call.toolCalls.some((each) => each.name === name);
  });
  const [only] = call.toolCalls;
  if (!areKnown || only === undefined || call.rpcMethod !== "tools/call") return areKnown;
  // Number for number, where a double would not hold them.
  return [parseExactly(sent), JSON.parse(sent)].some((message: unknown) => {
    const params = isObject(message) && isObject(message["params"]) ? message["params"] : {};
    return only.written.canonical === canonicalJson(params["arguments"] ?? {});
  });
}

/** What is wrong with it rejects, whenever it is found. */
const readOne = async (request: Request) => await readCall(request);

test("whatever the body is, it is read or refused on purpose, and what is judged is what is sent", async () => {
  let [read, refused] = [0, 0];
  await check(
    fc.asyncProperty(bodies, async (body) => {
      const outcome = await readOne(requestWith(body)).catch(
        (error: unknown) => asFailure(error).code,
      );
      if (typeof outcome === "string") {
        refused += 1;
        return ["body_unreadable", "message_invalid"].includes(outcome);
      }
      read += 1;
      return isJudgedRightly(outcome);
    }),
    { cases: cases },
  );
  console.log(`bodies: ${read} read, ${refused} refused`);
  expect(Math.min(read, refused)).toBeGreaterThan(cases / 20);
}, 120_000);

test("whatever bytes come, nothing breaks", async () => {
  await check(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
      const outcome = await readOne(requestWith(new Uint8Array(bytes))).catch(
        (error: unknown) => asFailure(error).code,
      );
      return outcome !== "internal";
    }),
    { cases: cases / 2 },
  );
}, 60_000);

const headerValues = fc.oneof(
  names.filter((name) => /^[\x20-\x7e]*$/.test(name)),
  methods,
  fc.constantFrom(
    "2026-07-28",
    "2025-11-25",
    "=?base64?ZHLDtnA=?=",
    "=?base64?ZHLDtnA?=",
    "=?base64?!!?=",
    "=?BASE64?ZHJvcA==?=",
  ),
);

test("headers that say something else than the body never pass, whatever they are", async () => {
  let passed = 0;
  await check(
    fc.asyncProperty(
      messages,
      fc.record(
        {
          "mcp-method": headerValues,
          "mcp-name": headerValues,
          "mcp-protocol-version": headerValues,
        },
        { requiredKeys: [] },
      ),
      async (message, headers) => {
        const request = requestWith(JSON.stringify(message), headers);
        // As they arrive: without the blanks around them.
        const arrived = Object.fromEntries(request.headers);
        const call = await readOne(request).catch(() => undefined);
        if (call === undefined) return true;
        try {
          checkHeaders(request, call);
          if (!call.isModern) checkMirrors(arrived, call);
        } catch (error) {
          return asFailure(error).code === "header_mismatch";
        }
        passed += 1;
        const { "mcp-method": method, "mcp-name": name } = arrived;
        if (method !== undefined && method !== call.rpcMethod && call.id !== null) return false;
        return name === undefined || call.name === undefined || decoded(name) === call.name;
      },
    ),
    { cases: cases },
  );
  expect(passed).toBeGreaterThan(cases / 50);
}, 60_000);

function decoded(value: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(value)?.[1];
  return encoded === undefined ? value : Buffer.from(encoded, "base64").toString();
}

test("canonical JSON is the same for the same value in any order, and differs for different ones", () => {
  check(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue({ maxDepth: 4 }), (one, other) => {
      const text = canonicalJson(one);
      const [left, right]: unknown[] = [one, other].map((each) => JSON.parse(JSON.stringify(each)));
      return (
        isSameJson(JSON.parse(text), left) &&
        (canonicalJson(other) === text) === isSameJson(left, right) &&
        canonicalJson(turned(one)) === text
      );
    }),
    { cases: cases / 4 },
  );
}, 60_000);

/** The same value with the keys of every object the other way round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, turned(member)]),
  );
}

test("what is nested without end is refused without breaking", async () => {
  for (const deep of [
    "[".repeat(100_000),
    '{"a":'.repeat(100_000),
    `${"[".repeat(500)}${"]".repeat(500)}`,
  ]) {
    const outcome = await readOne(requestWith(deep)).catch(asFailure);
    expect(outcome).toMatchObject({
      code: expect.stringMatching(/^(body_unreadable|message_invalid)$/),
    });
  }
});
