import type { App } from "#src/app.ts";
import { resealNodeKey } from "#src/crypto/node-key.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import {
  type SealedColumn,
  type SealedValue,
  type SealedCount,
  replaceSealed,
  sealedByOthers,
  sealedColumns,
  sealings,
} from "./store.ts";

type Resealed = {
  /** Values that are sealed with the first key now and were not before. */
  readonly resealed: number;
  /** What other keys still seal. Nothing, when all is done. */
  readonly left: readonly SealedCount[];
};

export type Progress = {
  readonly table: string;
  readonly column: string;
  readonly done: number;
  readonly of: number;
};

const atOnce = 200;
const passes = 3;
const firstId = "00000000-0000-0000-0000-000000000000";

/**
 * Seals everything anew with the first of ENCRYPTION_KEY, while gateways serve: each value is replaced only if it
 * is still the one that was read, so a refresh in between wins. Interrupted, it goes on where it was.
 * What does not open (its key is missing, or it was changed) is left and counted.
 */
export async function reseal(
  app: Pick<App, "db" | "seal" | "config">,
  tell: (progress: Progress) => void = () => undefined,
): Promise<Resealed> {
  let resealed = Number(resealNodeKey(app.config.home, app.seal));
  // A gateway that still seals with an older key may add to what was left.
  for (let pass = 0; pass < passes; pass++) {
    for (const place of sealedColumns) resealed += await resealColumn(app, place, tell);
    if ((await leftover(app)).length === 0) break;
  }
  return { resealed, left: await leftover(app) };
}

/** What other keys than the first have sealed. */
export async function leftover(app: Pick<App, "db" | "seal">): Promise<readonly SealedCount[]> {
  const [first] = app.seal.keyIds;
  const all = await Promise.all(sealedColumns.map((place) => sealings(app.db, place)));
  return all.flat().filter(({ keyId }) => keyId !== first);
}

async function resealColumn(
  app: Pick<App, "db" | "seal">,
  place: SealedColumn,
  tell: (progress: Progress) => void,
): Promise<number> {
  const [keyId = ""] = app.seal.keyIds;
  const all = await sealings(app.db, place);
  const of = all.reduce((sum, each) => sum + (each.keyId === keyId ? 0 : each.count), 0);
  let [done, resealed, after] = [0, 0, firstId];
  for (;;) {
    const some = await sealedByOthers(app.db, place, { keyId, after, most: atOnce });
    const last = some.at(-1);
    if (last === undefined) return resealed;
    after = last.id;
    for (const each of some) resealed += Number(await resealOne(app, place, each));
    done += some.length;
    tell({ ...place, done, of: Math.max(of, done) });
  }
}

async function resealOne(
  app: Pick<App, "db" | "seal">,
  place: SealedColumn,
  { id, value }: SealedValue,
): Promise<boolean> {
  const address = { ...place, row: id };
  try {
    const to = app.seal.close(app.seal.open(value, address), address);
    return await replaceSealed(app.db, place, { id, from: value, to });
  } catch (error) {
    if (error instanceof SealBroken) return false;
    throw error;
  }
}
