import type { Plan } from "./call-rounds.ts";
import type { Column } from "./columns.ts";
import { startGateway } from "./gateway.ts";
import type { StartedGateway } from "./gateway.ts";
import { issuerOf, startReferences, takeToken, tokenRequest } from "./issuers.ts";
import type { Issuer } from "./issuers.ts";
import type { Address, CallsAnswer } from "./jobs.ts";
import type { RunJob } from "./load-generator.ts";
import { echoCall } from "./messages.ts";
import { own } from "./owned.ts";
import { family } from "./processes.ts";
import type { Measure, Readings } from "./readings.ts";

type Bench = { readonly run: RunJob; readonly plan: Plan; readonly readings: Readings };

const connections = 32;
const warmMillis = 250;
const firstSeconds = 1;

const tokenMeasures = ["tokens32", "tokenProcessor", "tokenP50", "tokenP99"] as const;
export const callMeasures = [
  "verified32",
  "verifiedProcessor",
  "verifiedP50",
  "verifiedP99",
] as const;

/**
 * Client-credentials tokens from the gateway and from node-oidc-provider, then calls that carry such a token and
 * calls that carry a session: both bearers act on the same account.
 */
export async function measureTokens(
  bench: Bench & { readonly upstreamUrl: string },
): Promise<void> {
  const gateway = await startGateway(bench.upstreamUrl);
  if (gateway === undefined) return;
  const stop = own(() => gateway.stop());
  const { token, algorithm } = await takeToken(gateway.token);
  const references = await startReferences(algorithm);
  for (const reference of references) {
    const other = await takeToken(reference);
    if (other.algorithm !== algorithm)
      throw new Error("the issuers sign with different algorithms");
  }
  const ran = references.map(({ runtime }) => runtime).join(" and ");
  bench.readings.notes.push(`tokens: JWT, ${algorithm}; node-oidc-provider by ${ran || "nothing"}`);
  await measureIssuers(bench, [...references, issuerOf(gateway)]);
  for (const reference of references) await reference.stop();
  await measureBearers(bench, gateway, token);
  await stop();
}

/** In every round each issuer takes its turn, and another one begins. */
async function measureIssuers(bench: Bench, issuers: readonly Issuer[]): Promise<void> {
  const take = (issuer: Issuer, seconds: number) =>
    load(bench, issuer, { seconds, body: tokenRequest, expects: '"access_token"' });
  for (const issuer of issuers) await take(issuer, firstSeconds);
  for (let round = 0; round < bench.plan.rounds; round += 1) {
    const rates = new Map<Column, number>();
    for (const issuer of turned(issuers, round)) {
      const answer = await take(issuer, bench.plan.seconds);
      note(bench.readings, issuer.name, tokenMeasures, answer);
      rates.set(issuer.name, answer.callsPerSecond);
    }
    const own = rates.get("issuer") ?? Number.NaN;
    for (const [name, rate] of rates) {
      if (name !== "issuer") bench.readings.add(name, "gatewayTimes", own / rate);
    }
  }
}

/** The same call with both bearers; they take turns in going first. */
async function measureBearers(
  bench: Bench,
  { url, pid, headers }: StartedGateway,
  token: string,
): Promise<void> {
  const bearers = [
    { name: "session", url, pid, headers },
    { name: "jwt", url, pid, headers: { Authorization: `Bearer ${token}` } },
  ] as const;
  const call = (bearer: (typeof bearers)[number], seconds: number) =>
    load(bench, bearer, { seconds, body: echoCall, expects: '"result"' });
  for (const bearer of bearers) await call(bearer, firstSeconds);
  for (let round = 0; round < bench.plan.rounds; round += 1) {
    const rates = { session: Number.NaN, jwt: Number.NaN };
    for (const bearer of turned(bearers, round)) {
      const answer = await call(bearer, bench.plan.seconds);
      note(bench.readings, bearer.name, callMeasures, answer);
      rates[bearer.name] = answer.callsPerSecond;
    }
    bench.readings.add("jwt", "timesSession", rates.jwt / rates.session);
  }
}

function load(
  { run }: Bench,
  { url, headers, pid }: Address & { readonly pid: number },
  { seconds, ...what }: { seconds: number; body: string; expects: string },
): Promise<CallsAnswer> {
  const measureMillis = seconds * 1000;
  const pids = family(pid);
  return run("calls", { url, headers, ...what, connections, warmMillis, measureMillis, pids });
}

export function note(
  readings: Readings,
  column: Column,
  [rate, processor, p50, p99]: readonly [Measure, Measure, Measure, Measure],
  answer: CallsAnswer,
): void {
  readings.add(column, rate, answer.callsPerSecond);
  readings.add(column, processor, answer.processorMicrosPerCall);
  readings.add(column, p50, answer.p50Micros / 1000);
  readings.add(column, p99, answer.p99Micros / 1000);
  if (answer.failures === 0) return;
  readings.notes.push(`${column}: ${answer.failures} failed, first: ${answer.firstFailure}`);
}

export function turned<T>(list: readonly T[], by: number): readonly T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
