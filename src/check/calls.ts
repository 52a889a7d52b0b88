import { localFetch } from "./self-test/visitor.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { asFailure } from "#src/failure.ts";
import { switchOff, switchOn } from "#src/policy/switches.ts";
import { clientShapes, listTools, send } from "./self-test/mcp-client.ts";
import { type Connected, type SelfTest, silentName } from "./self-test/environment.ts";
import { type CheckResult, pass, problem } from "./result.ts";

const whoami = { id: 1, method: "tools/call", params: { name: "whoami", arguments: {} } } as const;

export type SelfTestDeps = SelfTest & {
  /** A seller at the first provider. */
  readonly connected: Connected;
};

function address({ url, profiles }: SelfTestDeps): string {
  return `${url}/mcp/${profiles[0]?.name}`;
}

const together = 20;

/** Chapter 3: calls that meet a dead credential share one refresh. */
export async function oneRefresh(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const provider = world.sandbox.providers.get(world.profiles[0]?.name ?? "");
  if (provider === undefined) return [problem("not_looked_at", "No provider is simulated")];
  const before = provider.asked.refresh_token;
  provider.grants.expireAccess();
  const calls = Array.from({ length: together }, () =>
    send(address(world), world.connected.bearer, whoami).then(async (answer) => {
      await answer.text();
      return answer.status;
    }),
  );
  const statuses = await Promise.all(calls);
  const asked = provider.asked.refresh_token - before;
  const failed = statuses.filter((status) => status !== 200).length;
  const words = `${together} calls that met a dead token: ${asked} refresh, ${failed} failed`;
  return [
    asked === 1 && failed === 0 ? pass(3, "one_refresh", words) : problem("proxy_failed", words),
  ];
}

const [fastMs, patienceMs] = [1000, 3000];

/** Chapter 3: a stream opens at once, and its end reaches the upstream. */
export async function streamOpensAndEnds(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const before = world.silent.cancelled();
  const startedAt = performance.now();
  const leaving = new AbortController();
  const answer = await localFetch(`${world.url}/mcp/${silentName}`, {
    method: "POST",
    signal: leaving.signal,
    headers: {
      authorization: `Bearer ${world.connected.bearer}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", ...whoami }),
  });
  await answer.body?.getReader().read();
  const firstMs = Math.round(performance.now() - startedAt);
  leaving.abort();
  const isNoticed = await until(() => world.silent.cancelled() > before, patienceMs);
  return [
    firstMs < fastMs
      ? pass(3, "stream_first_byte", `A stream's first byte came after ${firstMs} ms`)
      : problem("proxy_failed", `A stream's first byte took ${firstMs} ms`),
    isNoticed
      ? pass(3, "stream_cancel", "A client that goes away cancels its call at the MCP server")
      : problem("proxy_failed", "A client that went away did not cancel its call"),
  ];
}

async function until(isSo: () => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (!isSo() && performance.now() < deadline) await sleep(10);
  return isSo();
}

const tooLarge = 5 * 1024 * 1024;
const many = 60;

/** Chapter 7: what stands between an agent in a loop and everybody else. */
export async function limitsHold(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const big = { ...whoami, params: { name: "whoami", arguments: { x: "x".repeat(tooLarge) } } };
  const refused = await send(address(world), world.connected.bearer, big);
  await refused.text();
  const unknown = await send(address(world), "sd_ses_nobody", whoami);
  await unknown.text();
  const body = { redirect_uris: ["http://127.0.0.1/callback"], client_name: "check" };
  const statuses = await Promise.all(
    Array.from({ length: many }, () =>
      localFetch(`${world.url}/register`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }).then(async (answer) => {
        await answer.text();
        return answer.status;
      }),
    ),
  );
  const flooded = statuses.filter((status) => status === 429).length;
  return [
    refused.status === 413
      ? pass(7, "body_limit", "A body above 4 MiB is refused")
      : problem("limit_missing", `A body of 5 MiB got ${refused.status}`),
    unknown.status === 401
      ? pass(7, "bearer_needed", "Without a bearer nothing is passed on")
      : problem("limit_missing", `An unknown bearer got ${unknown.status}`),
    flooded > 0
      ? pass(7, "flood_gates", `Of ${many} registrations from one address ${flooded} were refused`)
      : problem("limit_missing", `${many} registrations from one address were all taken`),
  ];
}

/** Chapter 9: tools/list as each MCP client asks for it. */
export async function clientsServed(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const found: CheckResult[] = [];
  for (const client of clientShapes) {
    const { name, protocolVersion } = client;
    try {
      const tools = await listTools(address(world), world.connected.bearer, client);
      const words = `${name} (MCP ${protocolVersion}) is told about ${tools} tools`;
      found.push(pass(9, "client_served", words));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      found.push(problem("client_fails", `${name} (MCP ${protocolVersion}): ${reason}`));
    }
  }
  return found;
}

/** Chapters 6 and 9: what monitors ask. */
export async function healthAnswers(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const paths = ["/livez", "/readyz", "/health", `/api/mcp/${world.profiles[0]?.name}/health`];
  const found: CheckResult[] = [];
  for (const path of paths) {
    for (const method of ["GET", "HEAD"]) {
      const answer = await localFetch(`${world.url}${path}`, { method });
      const text = await answer.text();
      const isNamed = text.includes("TIENDA_DEMO") || text.includes("100200300");
      const words = `${method} ${path} answers ${answer.status}`;
      found.push(
        answer.status === 200 && !isNamed
          ? pass(6, "health", words)
          : problem("health_failed", isNamed ? `${words} and names an account` : words),
      );
    }
  }
  return found;
}

/** Chapter 10: the kill switch, and back. */
export async function killSwitchHolds(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const name = world.profiles[0]?.name ?? "";
  const ask = async () => {
    const answer = await send(address(world), world.connected.bearer, whoami);
    await answer.text();
    return answer.status;
  };
  try {
    await switchOff(world.app, name, { reason: "check" });
    const off = await ask();
    await switchOn(world.app, name);
    let on = await ask();
    for (let turn = 0; on !== 200 && turn < 20; turn++) {
      await sleep(100);
      on = await ask();
    }
    const words = `Switched off a call gets ${off}, switched on again ${on}`;
    return [
      off === 503 && on === 200 ? pass(10, "kill_switch", words) : problem("switch_failed", words),
    ];
  } catch (error) {
    return [problem("switch_failed", asFailure(error).message)];
  }
}
