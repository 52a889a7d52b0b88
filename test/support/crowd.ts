import { placeOf } from "#src/accounts/credential.ts";
import { addAccount } from "#src/accounts/store.ts";
import { mintSession } from "#src/oauth-server/sessions/session.ts";
import { newId } from "#src/crypto/ids.ts";
import { Secret } from "#src/crypto/secret.ts";
import { savePerson } from "#src/people/store.ts";
import type { World } from "./world.ts";

const atOnce = 20;

/** As many sellers, each with a grant at the provider; some of them have a session. */
export async function addCrowd(world: World, crowd: number): Promise<readonly string[]> {
  const bearers: (string | undefined)[] = [];
  for (let first = 0; first < crowd; first += atOnce) {
    const size = Math.min(atOnce, crowd - first);
    const some = Array.from({ length: size }, (_, index) => first + index);
    const hasSession = (number: number) => crowd <= 100 || number % 10 === 0;
    bearers.push(
      ...(await Promise.all(some.map((number) => addSeller(world, number, hasSession(number))))),
    );
  }
  return bearers.filter((bearer) => bearer !== undefined);
}

async function addSeller(
  { app, sandbox }: World,
  number: number,
  hasSession: boolean,
): Promise<string | undefined> {
  const grants = sandbox.providers.get("mercadolibre")?.grants;
  const sellerId = String(500_000_000 + number);
  const issued = grants?.issue({ id: sellerId, name: `SELLER_${number}`, site: "MLA" });
  const [id, personId] = [newId(app.now()), newId(app.now())];
  await savePerson(app.db, personId);
  await addAccount(app.db, {
    id,
    personId,
    provider: "mercadolibre",
    sellerId,
    kind: "oauth",
    label: null,
    site: "MLA",
    scope: null,
    accessExpiresAt: new Date(Date.now() + 3_600_000),
    refreshExpiresAt: null,
    refreshFrom: new Date(Date.now() + 3_000_000),
    accessToken: app.seal.close(new Secret(issued?.access ?? ""), placeOf(id, "accessToken")),
    refreshToken: app.seal.close(new Secret(issued?.refresh ?? ""), placeOf(id, "refreshToken")),
  });
  if (!hasSession) return undefined;
  const { bearer } = await mintSession(app, { personId, accountId: id, platform: null });
  return bearer.reveal();
}
