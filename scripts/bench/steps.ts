import { randomUUID } from "node:crypto";
import type { Caller } from "#src/oauth-server/caller.ts";
import { allowedBy } from "#src/oauth-server/scopes.ts";
import { openApp } from "#src/app.ts";
import { Cancel } from "#src/clock.ts";
import { encodeRequest, targetOf, ResponseParser } from "#src/http/http1.ts";
import { decide } from "#src/policy/guard.ts";
import { type CallerPlan, planFor, type CallContext, invocationsOf } from "#src/policy/plan.ts";
import { answersAnother } from "#src/proxy/rpc-id.ts";
import { mayHoldToolList, inspectionOf } from "#src/proxy/inspection.ts";
import { headersIn, mediaTypeOf } from "#src/proxy/headers.ts";
import { type Call, readCall } from "#src/proxy/message.ts";
import type { McpExchange } from "#src/proxy/mcp-exchange.ts";
import { createRecorder } from "#src/proxy/record.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { stopParts, withParts } from "#src/gateway/composition.ts";
import { alignColumns } from "./table.ts";
import { echoAnswer, echoCall, requestId } from "./messages.ts";
import { seed } from "./seed.ts";

const [batches, callsInBatch] = [20, 2000];

/**
 * What each step of a call costs in this process, warm and alone: the kernel, the runtime's HTTP and the upstream are
 * not in it. A regression of the whole has its name here.
 */
export async function measureSteps(): Promise<string> {
  const seeded = await seed("http://127.0.0.1:9/mcp");
  const opened = await openApp({
    environment: { ...seeded.environment, LOG_LEVEL: "info" },
    runtime: bunRuntime,
    role: "command",
    write: () => true,
  });
  const app = withParts(opened.app, bunRuntime);
  try {
    await Promise.all([app.switches.load(), app.definitions.load()]);
    const upstream = app.catalog.upstreams.get("mercadolibre");
    if (upstream === undefined) throw new Error("Mercado Libre is built in");
    const rows: string[][] = [["step of a call", "µs"]];
    for (const [name, step] of await stepsOf(app, upstream)) {
      rows.push([name, (await cheapest(step)).toFixed(2)]);
    }
    rows.push(["log line, metrics and audit row", (await costOfRecord(app, upstream)).toFixed(2)]);
    return alignColumns(rows);
  } finally {
    await stopParts(app);
    await opened.close();
    await seeded.stop();
  }
}

type Step = () => unknown;

/** The best of several batches, in microseconds. */
async function cheapest(step: Step, before?: () => Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < batches; batch += 1) {
    await before?.();
    const startedAt = Bun.nanoseconds();
    for (let call = 0; call < callsInBatch; call += 1) {
      const result = step();
      if (result instanceof Promise) await result;
    }
    best = Math.min(best, (Bun.nanoseconds() - startedAt) / callsInBatch / 1000);
  }
  return best;
}

type Parts = ReturnType<typeof withParts>;
type Upstream = NonNullable<ReturnType<Parts["catalog"]["upstreams"]["get"]>>;

async function stepsOf(
  app: Parts,
  upstream: Upstream,
): Promise<readonly (readonly [string, Step])[]> {
  const caller = callerAt();
  const request = requestOf;
  const call = await readCall(request());
  const exchange = exchangeAt(app, upstream);
  const plan = () => planFor(app, caller, upstream, exchange.startedAt);
  const context = () => contextAt(app, exchange, plan(), call);
  const decision = await decide(app, context(), undefined);
  const inspection = inspectionOf(app, { context: context(), call, decision, status: 200 });
  const sent = request();
  const credential = { authorization: "Bearer bench-access-token-1" };
  const outgoing = headersIn(app, sent, plan(), credential);
  const answer = Buffer.from(echoAnswer(requestId));
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n`;
  const whole = new Uint8Array(Buffer.concat([Buffer.from(head), answer]));
  const events = { head: () => undefined, chunk: () => undefined, end: () => undefined };
  return [
    ["a request object (of the runtime)", request],
    ["  with its message read", () => readCall(request())],
    ["plan, context and decision", () => decide(app, context(), undefined)],
    ["headers for the upstream", () => headersIn(app, sent, plan(), credential)],
    [
      "  with the bytes of the request",
      () =>
        encodeRequest(
          { method: "POST", headers: outgoing, body: call.body },
          targetOf(upstream.url),
        ),
    ],
    [
      "a deadline and a cancel",
      () => {
        const deadline = app.deadlines.open();
        deadline.set(1000, new Cancel());
        deadline.close();
      },
    ],
    ["the answer's head and body parsed", () => new ResponseParser("POST", events).push(whole)],
    [
      "the answer inspected",
      () => {
        answersAnother(answer, call.id);
        mayHoldToolList(answer);
        inspection.ended?.(answer, answer.length);
      },
    ],
    ["a response with its headers", () => responseOf(answer, decision.headers)],
  ];
}

/** With a recorder of its own for each batch: a full one records nothing. Storing the rows is not in it. */
async function costOfRecord(app: Parts, upstream: Upstream): Promise<number> {
  const caller = callerAt();
  const call = await readCall(requestOf());
  const exchange = exchangeAt(app, upstream);
  const plan = planFor(app, caller, upstream, exchange.startedAt);
  let recorder = createRecorder(app);
  const record = () => {
    const context = contextAt(app, exchange, plan, call);
    recorder.add({ ...exchange, call, context }, 200);
  };
  const renew = async () => {
    await recorder.stop();
    app.log.flush();
    recorder = createRecorder(app);
  };
  const cost = await cheapest(record, renew);
  await recorder.stop();
  return cost;
}

function responseOf(body: Uint8Array<ArrayBuffer>, limits: Readonly<Record<string, string>>) {
  const { template } = mediaTypeOf("application/json");
  return new Response(body, { headers: template.headersFor("bench-1", limits) });
}

function requestOf(): Request {
  const headers = { "content-type": "application/json", "content-length": `${echoCall.length}` };
  return new Request("http://127.0.0.1/mcp", { method: "POST", headers, body: echoCall });
}

function callerAt(): Caller {
  const id = randomUUID();
  return {
    kind: "session",
    id,
    key: `session:${id}`,
    agent: undefined,
    agentName: "bench",
    policies: [],
    personId: undefined,
    accountId: randomUUID(),
    provider: "mercadolibre",
    upstream: undefined,
    granted: ["mcp:call"],
    allowed: allowedBy(["mcp:call"]),
    expiresAt: Number.POSITIVE_INFINITY,
    topics: [`session:${id}`],
  };
}

function contextAt(
  app: Parts,
  { address, startedAt: at }: McpExchange,
  plan: CallerPlan,
  { httpMethod, rpcMethods: methods, toolCalls }: Call,
): CallContext {
  const { caller, upstream } = plan;
  const tools = invocationsOf(app, plan, toolCalls);
  return { caller, upstream, httpMethod, address, plan, at, methods, tools };
}

function exchangeAt(app: Parts, upstream: Upstream): McpExchange {
  return {
    requestId: "bench-1",
    upstream,
    startedAt: app.now().getTime(),
    address: () => "127.0.0.1",
    call: undefined,
    context: undefined,
    decision: undefined,
    upstreamStatus: 200,
    failure: undefined,
    reason: undefined,
    span: undefined,
  };
}
