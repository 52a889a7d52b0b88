import { type KeyObject, type webcrypto, createPrivateKey } from "node:crypto";
import { type JWK, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from "jose";
import type { App } from "#src/app.ts";
import { type Cache, createCache, databasePatienceMs } from "#src/cache.ts";
import type { TokenAlgorithm } from "#src/config/load.ts";
import { newId } from "#src/crypto/ids.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import {
  type NewSigningKey,
  type SigningKeyRow,
  addSigningKeys,
  replaceSigningKeys,
  rotateSigningKeys,
  signingKeyRows,
} from "./store.ts";

type Key = CryptoKey | Uint8Array;

type Signer = {
  /** The protected header, in base64url. */
  readonly header: string;
  readonly algorithm: TokenAlgorithm;
  readonly key: KeyObject;
};

type KeyRing = {
  /** Opened when something is signed: without ENCRYPTION_KEY, tokens are still proven. Failures: `credential_unreadable`. */
  readonly signer: () => Signer;
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

type Deps = Pick<App, "db" | "seal" | "now" | "config" | "singleFlight">;

/** Every access token rests on the keys: this topic ends them all. */
export const keysTopic = "keys";

const askAgainMs = 10_000;

/** The database's keys as this process holds them; another replica's rotation is seen within a minute. */
export function createSigningKeys(app: Deps): SigningKeys {
  const now = millisecondsOf(app);
  const cache: Cache<KeyRing> = createCache({
    freshMs: 60_000,
    staleMs: 3_600_000,
    patienceMs: databasePatienceMs,
    size: 1,
    now,
  });
  let askedAt = 0;
  let forgotten = 0;
  const ring = async () => {
    const found = await cache.get("ring", () => loadRing(app));
    if (found === undefined) throw new Failure("internal");
    return found;
  };
  const again = () =>
    app.singleFlight("signing keys", async () => {
      askedAt = now();
      const before = forgotten;
      const loaded = await loadRing(app);
      if (before === forgotten) cache.put("ring", loaded);
    });
  return {
    ring,
    ringWith: async (kid) => {
      const known = await ring();
      if (known.verify.has(kid) || now() - askedAt < askAgainMs) return known;
      // Anybody can make up a key id: what we hold goes on while the database is away.
      await again().catch(() => undefined);
      return await ring();
    },
    forget: () => {
      forgotten += 1;
      cache.forget("ring");
    },
  };
}

async function loadRing(app: Deps): Promise<KeyRing> {
  const rows = await completeRows(app);
  const { tokenAlgorithm } = app.config;
  const current = rows.find((row) => row.algorithm === tokenAlgorithm && row.state === "current");
  if (current === undefined) throw new Failure("internal");
  const verify = await Promise.all(
    rows.map(async ({ publicJwk, algorithm }) => {
      const key = await importJWK({ ...publicJwk }, algorithm);
      return [String(publicJwk["kid"]), { algorithm, key }] as const;
    }),
  );
  let signer: Signer | undefined;
  return {
    signer: () => (signer ??= signerFrom(app, current)),
    verify: new Map(verify),
    published: rows.map(publishedFrom),
  };
}

function publishedFrom({ publicJwk, algorithm }: SigningKeyRow): JWK {
  return { ...publicJwk, alg: algorithm, use: "sig" };
}

/** Whoever comes first makes the first keys. */
async function completeRows(app: Deps): Promise<readonly SigningKeyRow[]> {
  const rows = await timely(signingKeyRows(app.db));
  const isComplete = (["next", "current"] as const).every((state) =>
    rows.some((row) => row.algorithm === app.config.tokenAlgorithm && row.state === state),
  );
  if (isComplete) return rows;
  await timely(addSigningKeys(app.db, await newPair(app)));
  return await timely(signingKeyRows(app.db));
}

async function newPair(app: Pick<App, "seal" | "now" | "config">) {
  return [await newSigningKey(app, "current"), await newSigningKey(app, "next")] as const;
}

function signerFrom(app: Deps, row: SigningKeyRow): Signer {
  const { algorithm, publicJwk } = row;
  const header = { alg: algorithm, typ: "at+jwt", kid: publicJwk["kid"] };
  return {
    algorithm,
    header: Buffer.from(JSON.stringify(header)).toString("base64url"),
    key: createPrivateKey({ key: opened(app, row), format: "jwk" }),
  };
}

function opened(app: Deps, row: SigningKeyRow): webcrypto.JsonWebKey {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sealed by us, and checked when it is read
    return JSON.parse(
      app.seal.open(row.privateJwk, placeOf(row.id)).reveal(),
    ) as webcrypto.JsonWebKey;
  } catch (error) {
    if (error instanceof SealBroken) throw new Failure("credential_unreadable", error.message);
    throw error;
  }
}

async function newSigningKey(
  app: Pick<App, "seal" | "now" | "config">,
  state: SigningKeyRow["state"],
): Promise<NewSigningKey> {
  const algorithm = app.config.tokenAlgorithm;
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
 * The next key begins to sign, the current one goes on proving what it has signed. When keys are lost, all of
 * them are replaced, and every token that they signed ends, on every replica within two seconds.
 * Returns the id of the key that signs now. No stored key is opened, so it works without the key that sealed them.
 */
export async function rotateKeys(app: Deps, { isLost }: { isLost: boolean }): Promise<string> {
  if (isLost) {
    const pair = await newPair(app);
    await replaceSigningKeys(app.db, pair, [keysTopic]);
    return String(pair[0].publicJwk["kid"]);
  }
  await completeRows(app);
  await rotateSigningKeys(app.db, await newSigningKey(app, "next"));
  const rows = await completeRows(app);
  const current = rows.find(
    (row) => row.algorithm === app.config.tokenAlgorithm && row.state === "current",
  );
  return String(current?.publicJwk["kid"]);
}
