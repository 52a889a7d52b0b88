import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startSandbox } from "#src/sandbox/sandbox.ts";
import { type StartedGateway, startGateway } from "./gateway.ts";
import { toolRules } from "./guards.ts";
import type { Bench } from "./idle-streams.ts";
import { echoCall } from "./messages.ts";
import { own } from "./owned.ts";
import { family } from "./processes.ts";
import type { AccountTokens } from "./seed.ts";
import { callMeasures, note, turned } from "./tokens.ts";

/** As many as keep a refresh of one from holding up the calls of the others. */
const accounts = 256;
const connections = 32;
const warmMillis = 500;
const accessSeconds = 3600;
const callsForEachRefusal = 100;

/**
 * The same calls of the same sessions to an upstream that honours every token, and to one where one call in a
 * hundred meets a dead one, so that the gateway has to refresh it at a simulated provider and to call once more.
 */
export async function measureDyingTokens(bench: Bench): Promise<void> {
  const sandbox = startSandbox(bunRuntime, {
    accessSeconds,
    now: Date.now,
    profiles: [mercadolibre],
    endsOnReuse: true,
  });
  const stopSandbox = own(() => sandbox.stop());
  const grants = sandbox.providers.get("mercadolibre")?.grants;
  if (grants === undefined) throw new Error("Mercado Libre is simulated");
  const mortal = new URL(`/mortal/${callsForEachRefusal}`, bench.upstreamUrl).href;
  const upstreams = {
    mercadolibre: { url: bench.upstreamUrl, tools: toolRules },
    mortal: { url: mortal, credential: { provider: "mercadolibre" }, tools: toolRules },
  };
  const gateway = await startGateway(bench.upstreamUrl, {
    accounts,
    environment: { ...sandbox.environment, SMARTDASH_UPSTREAMS: JSON.stringify(upstreams) },
    tokensOf: (id): AccountTokens => ({
      ...grants.issue({ id, name: `SELLER_${id}`, site: "MLA" }),
      accessSeconds,
    }),
  });
  if (gateway === undefined) return await stopSandbox();
  const stopGateway = own(() => gateway.stop());
  await measureRounds(bench, gateway);
  const reused = grants.reused();
  if (reused > 0) bench.readings.notes.push(`refresh: ${reused} refresh tokens were sent twice`);
  await stopGateway();
  await stopSandbox();
}

async function measureRounds(bench: Bench, gateway: StartedGateway): Promise<void> {
  const { plan, readings } = bench;
  const columns = [
    { name: "live", url: gateway.url },
    { name: "dying", url: new URL("/mcp/mortal", gateway.url).href },
  ] as const;
  for (const { url } of columns) await load(bench, { ...gateway, url }, 1);
  for (let round = 0; round < plan.rounds; round += 1) {
    const rates = { live: Number.NaN, dying: Number.NaN };
    const costs = { live: Number.NaN, dying: Number.NaN };
    for (const { name, url } of turned(columns, round)) {
      const before = await countRefused(bench.upstreamUrl);
      const answer = await load(bench, { ...gateway, url }, plan.seconds);
      const after = await countRefused(bench.upstreamUrl);
      note(readings, name, callMeasures, answer);
      rates[name] = answer.callsPerSecond;
      costs[name] = answer.processorMicrosPerCall ?? Number.NaN;
      const share = (after.refused - before.refused) / (after.calls - before.calls);
      readings.add(name, "deadPercent", 100 * share);
    }
    readings.add("dying", "timesLive", rates.dying / rates.live);
    readings.add("dying", "processorTimesLive", costs.dying / costs.live);
  }
}

function load({ run }: Bench, { url, pid, bearers }: StartedGateway, seconds: number) {
  const measureMillis = seconds * 1000;
  const call = { url, headers: {}, bearers, body: echoCall, expects: '"result"' };
  return run("calls", { ...call, connections, warmMillis, measureMillis, pids: family(pid) });
}

async function countRefused(upstreamUrl: string): Promise<{ calls: number; refused: number }> {
  const response = await fetch(new URL("/refused", upstreamUrl));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own stand-in's answer
  return (await response.json()) as { calls: number; refused: number };
}
