import { and, eq, gt } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { deviceCodes, grants } from "#db/schema/agents.ts";
import { type NewGrant, type NewRefreshToken, beginGrant, liftNarrowing } from "../grants/store.ts";

export type DeviceCode = typeof deviceCodes.$inferSelect;

export async function saveDeviceCode(
  db: Database,
  device: Omit<DeviceCode, "state" | "grantId" | "polledAt">,
): Promise<void> {
  await db.insert(deviceCodes).values(device);
}

/** A device that still waits for its person. */
export async function waitingDevice(
  db: Database,
  userFingerprint: Uint8Array,
  now: Date,
): Promise<DeviceCode | undefined> {
  const [row] = await db
    .select()
    .from(deviceCodes)
    .where(
      and(
        eq(deviceCodes.userFingerprint, userFingerprint),
        eq(deviceCodes.state, "pending"),
        gt(deviceCodes.expiresAt, now),
      ),
    );
  return row;
}

/** The person's answer to a device that still waits. False when it no longer does. */
export async function decideDevice(
  db: Database,
  decision: { id: string; grant: NewGrant | undefined; now: Date },
): Promise<boolean> {
  const { id, grant, now } = decision;
  return await db.transaction(async (transaction) => {
    const [waiting] = await transaction
      .select({ id: deviceCodes.id })
      .from(deviceCodes)
      .where(
        and(
          eq(deviceCodes.id, id),
          eq(deviceCodes.state, "pending"),
          gt(deviceCodes.expiresAt, now),
        ),
      )
      .for("update");
    if (waiting === undefined) return false;
    if (grant !== undefined) {
      await transaction.insert(grants).values(grant);
      await liftNarrowing(transaction, grant.id);
    }
    const outcome =
      grant === undefined
        ? { state: "denied" as const }
        : { state: "approved" as const, grantId: grant.id };
    await transaction.update(deviceCodes).set(outcome).where(eq(deviceCodes.id, id));
    return true;
  });
}

/** A device asks how it stands: the moment is noted, and whether it asked too soon. */
export async function pollDevice(
  db: Database,
  device: { fingerprint: Uint8Array; clientId: string; now: Date },
): Promise<(DeviceCode & { readonly isTooSoon: boolean }) | undefined> {
  return await db.transaction(async (transaction) => {
    const [row] = await transaction
      .select()
      .from(deviceCodes)
      .where(
        and(
          eq(deviceCodes.deviceFingerprint, device.fingerprint),
          eq(deviceCodes.clientId, device.clientId),
        ),
      )
      .for("update");
    if (row === undefined) return undefined;
    const earliest = (row.polledAt?.getTime() ?? 0) + row.intervalSeconds * 1000 - jitterMs;
    const isTooSoon = device.now.getTime() < earliest;
    const intervalSeconds = row.intervalSeconds + (isTooSoon ? slowDownSeconds : 0);
    await transaction
      .update(deviceCodes)
      .set({ polledAt: device.now, intervalSeconds })
      .where(eq(deviceCodes.id, row.id));
    return { ...row, isTooSoon };
  });
}

const slowDownSeconds = 5;
/** A client that keeps to the interval may still arrive a little early. */
const jitterMs = 1000;

/** Hands an approved device its grant, once. */
export async function redeemDevice(
  db: Database,
  redeeming: { id: string; grantId: string; refresh: NewRefreshToken | undefined; now: Date },
): Promise<boolean> {
  const { id, ...rest } = redeeming;
  return await db.transaction(async (transaction) => {
    const used = await transaction
      .update(deviceCodes)
      .set({ state: "used" })
      .where(and(eq(deviceCodes.id, id), eq(deviceCodes.state, "approved")))
      .returning({ id: deviceCodes.id });
    return used.length === 1 && (await beginGrant(transaction, rest));
  });
}
