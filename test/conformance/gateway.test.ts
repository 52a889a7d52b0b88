import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newBearer } from "#test/support/browser-like.ts";
import { pointedAt } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { type Fixture, startFixture } from "./fixture.ts";
import { startShim } from "./shim.ts";
import { differences, readChecks, runSuite } from "./suite.ts";

const twoMinutes = 120_000;
const runs = {
  "all scenarios": ["--suite", "all"],
  "the 2025-11-25 requirements": ["--requirements", "2025-11-25"],
  "the 2026-07-28 requirements": ["--requirements", "2026-07-28"],
} as const;

let fixture: Fixture;
let world: World;
let shim: Awaited<ReturnType<typeof startShim>>;
let room: string;

beforeAll(async () => {
  fixture = await startFixture();
  world = await openWorld({ environment: pointedAt(fixture.url) });
  const token = await newBearer({ url: world.url });
  shim = await startShim({ targetPort: world.gateway.port, token });
  room = await mkdtemp(join(tmpdir(), "conformance-"));
}, twoMinutes);

afterAll(async () => {
  await shim.stop();
  await world[Symbol.asyncDispose]();
  await fixture.stop();
  await rm(room, { recursive: true });
});

for (const [name, args] of Object.entries(runs)) {
  test(
    `${name}: every official check is equal with and without the gateway, and passes`,
    async () => {
      const through = `http://127.0.0.1:${shim.port}/mcp/mercadolibre`;
      const [direct, gateway] = await Promise.all([
        suite(`direct ${name}`, fixture.url, args),
        suite(`gateway ${name}`, through, args),
      ]);
      expect(gateway.checks.length).toBeGreaterThan(80);
      expect(differences(direct.checks, gateway.checks)).toEqual([]);
      expect(gateway.exitCode, gateway.output).toBe(0);
    },
    twoMinutes,
  );
}

async function suite(name: string, url: string, args: readonly string[]) {
  const outDir = join(room, name.replaceAll(" ", "-"));
  const { exitCode, output } = await runSuite({ url, args, outDir, timeoutSeconds: 90 });
  return { exitCode, output, checks: await readChecks(outDir) };
}
