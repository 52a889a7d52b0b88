import {
  createMcpHandler,
  hostHeaderValidationResponse,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
} from "@modelcontextprotocol/server";

import { addJobs, refuseWithoutTasks } from "./fixture-jobs.ts";
import { createLegacySessions } from "./fixture-legacy.ts";
import { buildFixtureServer } from "./fixture-server.ts";
import { loadSkills } from "./fixture-skills.ts";
import { createTasks } from "./fixture-tasks.ts";

export type Fixture = {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
};

/**
 * Starts the dual-era MCP server the official conformance suite is run against: 2026-07-28 without
 * sessions and everything older with them, on one path. Listens on the loopback interface only.
 */
export async function startFixture(): Promise<Fixture> {
  const skills = await loadSkills();
  const tasks = createTasks();
  const modern = createMcpHandler(
    () => {
      const server = buildFixtureServer({
        toolsChanged: () => modern.notify.toolsChanged(),
        promptsChanged: () => modern.notify.promptsChanged(),
      });
      addJobs(server, tasks);
      skills.attach(server);
      return server;
    },
    { legacy: "reject" },
  );
  const legacy = createLegacySessions();

  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // Bun's default of ten seconds cuts a quiet event stream.
    idleTimeout: 0,
    async fetch(request) {
      const refusal = refuse(request);
      if (refusal) return refusal;
      if (await isLegacyRequest(request)) return legacy.fetch(request);
      return (await refuseWithoutTasks(request)) ?? modern.fetch(request);
    },
  });
  const port = http.port!;

  return {
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    async stop() {
      await legacy.close();
      await modern.close();
      await http.stop(true);
    },
  };
}

/** The guards in front of both eras: DNS rebinding (Host), foreign pages (Origin), other paths. */
function refuse(request: Request): Response | undefined {
  return (
    hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
    originValidationResponse(request, localhostAllowedOrigins()) ??
    (new URL(request.url).pathname === "/mcp" ? undefined : new Response(null, { status: 404 }))
  );
}
