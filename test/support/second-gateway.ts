import { type App, openApp } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import type { World } from "./world.ts";

export type SecondGateway = AsyncDisposable & { readonly url: string; readonly app: App };

/** Another gateway on the world's database, known to people by the same public name as the first. */
export async function secondGateway(
  world: World,
  extra: Environment = {},
  change: (app: App) => App = (app) => app,
): Promise<SecondGateway> {
  const environment = { ...world.environment, PUBLIC_URL: world.url, PORT: "0", ...extra };
  const { app, close } = await openApp({ environment, runtime: bunRuntime, role: "gateway" });
  const gateway = await startGateway(change(app), bunRuntime);
  return {
    url: `http://localhost:${gateway.port}`,
    app,
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await close();
    },
  };
}
