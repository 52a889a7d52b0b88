import { listTools, startGateway } from "./gateway.ts";
import { toolRules } from "./guards.ts";
import type { Bench } from "./idle-streams.ts";
import { echoCall } from "./messages.ts";
import { own } from "./owned.ts";
import { family } from "./processes.ts";
import { callMeasures, note, turned } from "./tokens.ts";

/** An API that answers everything with the same kilobyte of JSON. */
function startApi() {
  const results = Array.from({ length: 10 }, (_, day) => ({
    date: `2026-11-${10 + day}T00:00:00Z`,
    total: day,
    filler: "x".repeat(40),
  }));
  const body = JSON.stringify({ id: 1, site_id: "MLA", total_visits: 45, results });
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        socket.write(answer.repeat(bytes.toString("latin1").split("GET /").length - 1));
      },
    },
  });
}

const params = { name: "get_visits", arguments: { last_days: 10 } };
const shopCall = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });

/** A call of a pack's tool that makes one request, beside a call that is proxied to an MCP server. */
export async function measureShop({ run, upstreamUrl, plan, readings }: Bench): Promise<void> {
  const api = startApi();
  const upstreams = {
    mercadolibre: { url: upstreamUrl, tools: toolRules },
    "mercadolibre-shop": { url: `http://127.0.0.1:${api.port}`, tools: toolRules },
  };
  const environment = {
    SMARTDASH_UPSTREAMS: JSON.stringify(upstreams),
    MELI_REQUESTS_PER_MINUTE: "80000000",
  };
  const gateway = await startGateway(upstreamUrl, { environment });
  if (gateway === undefined) {
    api.stop(true);
    return;
  }
  const stop = own(() => gateway.stop());
  const columns = [
    { name: "proxied", url: gateway.url, body: echoCall, expects: '"result"' },
    { name: "pack", url: `${gateway.url}-shop`, body: shopCall, expects: '"isError":false' },
  ] as const;
  // As every client does before it calls one.
  await listTools(columns[1].url, gateway.headers);
  const load = ({ url, body, expects }: (typeof columns)[number], seconds: number) =>
    run("calls", {
      url,
      headers: gateway.headers,
      body,
      expects,
      connections: 32,
      warmMillis: 250,
      measureMillis: seconds * 1000,
      pids: family(gateway.pid),
    });
  for (const column of columns) await load(column, 1);
  for (let round = 0; round < plan.rounds; round += 1) {
    const costs = { proxied: Number.NaN, pack: Number.NaN };
    for (const column of turned(columns, round)) {
      const answer = await load(column, plan.seconds);
      note(readings, column.name, callMeasures, answer);
      costs[column.name] = answer.processorMicrosPerCall ?? Number.NaN;
    }
    readings.add("pack", "timesProxied", costs.pack / costs.proxied);
  }
  await stop();
  api.stop(true);
}
