import { type JWK, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from "jose";
import type { App } from "#src/app.ts";
import { type Cache, createCache } from "#src/cache.ts";
import type { TokenAlgorithm } from "#src/config/load.ts";
import { newId } from "#src/crypto/ids.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";
import {
  type NewSigningKey,
  type SigningKeyRow,
  addSigningKeys,
  rotateSigningKeys,
  signingKeyRows,
} from "./store.ts";

type Key = CryptoKey | Uint8Array;

export type KeyRing = {
  readonly sign: { readonly kid: string; readonly algorithm: TokenAlgorithm; readonly key: Key };
  /** By key id. */
  readonly verify: ReadonlyMap<string, { readonly algorithm: TokenAlgorithm; readonly key: Key }>;
  /** As the JWKS shows them: next, current and previous. */
  readonly published: readonly JWK[];
};

export type SigningKeys = {
  /** Failures: `database_unavailable`, `credential_unreadable`. */
  ring(): Promise<KeyRing>;
  /** The ring after a token came with a key id that we do not know; asked for anew at most every ten seconds. */
  ringWith(kid: string): Promise<KeyRing>;
  /** A key was lost: nothing that is held here counts any more. */
  forget(): void;
};

type Keeping = Pick<App, "db" | "seal" | "now" | "config" | "once">;

/** Every access token rests on the keys: this ending ends them all. */
export const keysSubject = "keys";

const databaseMs = 5000;
const askAgainMs = 10_000;

/** The database's keys as this process holds them; another replica's rotation is seen within a minute. */
export function createSigningKeys(app: Keeping): SigningKeys {
  const now = () => app.now().getTime();
  const cache: Cache<KeyRing> = createCache({
    freshMs: 60_000,
    staleMs: 3_600_000,
    size: 1,
    now,
  });
  let askedAt = 0;
  const ring = async () => {
    const found = await cache.get("ring", () => loadRing(app));
    if (found === undefined) throw new Failure("internal");
    return found;
  };
  const again = () =>
    app.once("signing keys", async () => {
      askedAt = now();
      cache.put("ring", await loadRing(app));
    });
  return {
    ring,
    ringWith: async (kid) => {
      const known = await ring();
      if (known.verify.has(kid) || now() - askedAt < askAgainMs) return known;
      // Nobody knows the id of a made-up key: what we hold goes on while the database is away.
      await again().catch(() => undefined);
      return await ring();
    },
    forget: () => cache.forget("ring"),
  };
}

async function loadRing(app: Keeping): Promise<KeyRing> {
  const late = () => new Failure("database_unavailable");
  const algorithm = app.config.tokenAlgorithm;
  let rows = await within(databaseMs, signingKeyRows(app.db), late);
  const isComplete = (["next", "current"] as const).every((state) =>
    rows.some((row) => row.algorithm === algorithm && row.state === state),
  );
  if (!isComplete) {
    const made = [
      await newSigningKey(app, algorithm, "current"),
      await newSigningKey(app, algorithm, "next"),
    ];
    await within(databaseMs, addSigningKeys(app.db, made), late);
    rows = await within(databaseMs, signingKeyRows(app.db), late);
  }
  return await ringOf(app, rows);
}

async function ringOf(app: Keeping, rows: readonly SigningKeyRow[]): Promise<KeyRing> {
  const { tokenAlgorithm } = app.config;
  const current = rows.find((row) => row.algorithm === tokenAlgorithm && row.state === "current");
  if (current === undefined) throw new Failure("internal");
  const published = rows.map(({ publicJwk, algorithm }) => {
    const jwk: JWK = { ...publicJwk, alg: algorithm, use: "sig" };
    return jwk;
  });
  const verify = await Promise.all(
    rows.map(async ({ publicJwk, algorithm }) => {
      const key = await importJWK({ ...publicJwk }, algorithm);
      return [String(publicJwk["kid"]), { algorithm, key }] as const;
    }),
  );
  const key = await importJWK(opened(app, current), tokenAlgorithm);
  return {
    sign: { kid: String(current.publicJwk["kid"]), algorithm: tokenAlgorithm, key },
    verify: new Map(verify),
    published,
  };
}

function opened(app: Keeping, row: SigningKeyRow): JWK {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sealed by us, and jose checks it
    return JSON.parse(app.seal.open(row.privateJwk, placeOf(row.id)).reveal()) as JWK;
  } catch (error) {
    if (error instanceof SealBroken) throw new Failure("credential_unreadable", error.message);
    throw error;
  }
}

async function newSigningKey(
  app: Pick<App, "seal" | "now">,
  algorithm: TokenAlgorithm,
  state: SigningKeyRow["state"],
): Promise<NewSigningKey> {
  const options = algorithm === "EdDSA" ? { crv: "Ed25519" } : {};
  const pair = await generateKeyPair(algorithm, { ...options, extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const id = newId(app.now());
  const secret = new Secret(JSON.stringify(await exportJWK(pair.privateKey)));
  return {
    id,
    algorithm,
    state,
    publicJwk: { ...publicJwk, kid },
    privateJwk: app.seal.close(secret, placeOf(id)),
  };
}

function placeOf(id: string) {
  return { table: "signing_keys", row: id, column: "private_jwk" };
}

/**
 * The next key begins to sign, the current one goes on proving what it has signed, unless it is lost:
 * then its tokens end, on every replica within two seconds. Returns the id of the key that signs now.
 */
export async function rotateKeys(app: Keeping, { isLost }: { isLost: boolean }): Promise<string> {
  await loadRing(app);
  const next = await newSigningKey(app, app.config.tokenAlgorithm, "next");
  await rotateSigningKeys(app.db, next, isLost ? [keysSubject] : []);
  return (await loadRing(app)).sign.kid;
}
