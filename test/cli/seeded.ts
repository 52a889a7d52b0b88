import { noHighWaterMarks } from "#src/accounts/journal/high-water-marks.ts";
import { saveConnection } from "#src/accounts/save-connection.ts";
import { mintSession } from "#src/oauth-server/sessions/session.ts";
import { openApp } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { Secret } from "#src/crypto/secret.ts";
import { bunRuntime } from "#src/runtime/bun.ts";

export const accessToken = "APP_USR-seeded-access-token";

/** A bearer for one connected Mercado Libre account, put into the database that `environment` names. */
export async function seededBearer(environment: Environment): Promise<string> {
  const { app, close } = await openApp({ environment, runtime: bunRuntime, role: "command" });
  try {
    const provider = app.catalog.providers.get("mercadolibre");
    if (provider === undefined) throw new Error("Mercado Libre is built in");
    const saved = await saveConnection(
      { ...app, journal: { marks: noHighWaterMarks } },
      {
        provider,
        kind: "oauth",
        personId: undefined,
        expectedSellerId: undefined,
        invite: undefined,
        identity: { sellerId: "1", label: null, site: null },
        tokens: {
          access: new Secret(accessToken),
          refresh: new Secret("TG-seeded-refresh-token"),
          accessSeconds: 3600,
          refreshSeconds: undefined,
          scope: undefined,
        },
        link: "/",
      },
    );
    const { bearer } = await mintSession(app, { ...saved, platform: null });
    return bearer.reveal();
  } finally {
    await close();
  }
}
