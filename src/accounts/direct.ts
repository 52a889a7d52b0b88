import type { App } from "#src/app.ts";
import type { Provider } from "#src/providers/provider.ts";
import { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { identify } from "./identity.ts";
import { type SaveDeps, saveConnection } from "./save-connection.ts";

type Direct = Pick<App, "outbound" | "catalog" | "log"> & SaveDeps;

type DirectKey = {
  readonly key: string;
  readonly provider: string | undefined;
  readonly invite: string | undefined;
};
type DirectConnected = {
  readonly accountId: string;
  readonly personId: string;
  readonly provider: Provider;
};

const mostAtOnce = 8;
let running = 0;

/**
 * A provider key or personal access token instead of OAuth. The provider's identity call proves it
 * before anything is stored.
 * Failures: `key_missing`, `key_retired`, `key_refused`, `identity_failed`, `provider_unknown`,
 * `account_has_oauth`, `invite_needed`, `busy`.
 */
export async function connectWithKey(app: Direct, direct: DirectKey): Promise<DirectConnected> {
  const key = direct.key.trim();
  if (key === "") throw new Failure("key_missing");
  const provider = providerOf(app, key, direct.provider);
  const retired = provider.staticKeys?.retiredPrefixes?.some((prefix) => key.startsWith(prefix));
  if (retired === true) throw new Failure("key_retired");
  if (!/^[\x21-\x7e]{8,4096}$/.test(key)) throw new Failure("key_refused", "This is not a key");
  if (running >= mostAtOnce) throw new Failure("busy", undefined, { retryAfterSeconds: 2 });
  running += 1;
  try {
    return {
      ...(await proveAndSave(app, provider, { access: new Secret(key), invite: direct.invite })),
      provider,
    };
  } finally {
    running -= 1;
  }
}

async function proveAndSave(
  app: Direct,
  provider: Provider,
  given: { access: Secret; invite: string | undefined },
) {
  const { access, invite } = given;
  const identity = await identify(app, provider, { access, fields: undefined });
  const saved = await saveConnection(app, {
    provider,
    kind: "static",
    personId: undefined,
    expectedSellerId: undefined,
    invite,
    identity,
    tokens: {
      access,
      refresh: undefined,
      accessSeconds: undefined,
      refreshSeconds: undefined,
      scope: undefined,
    },
    link: "/",
  });
  app.log.info("account_connected", {
    provider: provider.name,
    accountId: saved.accountId,
    kind: "static",
  });
  return saved;
}

/** The provider that was named, or the one whose keys begin like this. */
function providerOf(app: Direct, key: string, name: string | undefined): Provider {
  const named = name === undefined ? undefined : app.catalog.providers.get(name);
  if (name !== undefined && named === undefined) throw new Failure("provider_unknown");
  const guessed = [...app.catalog.providers.values()].find(({ staticKeys }) =>
    [...(staticKeys?.prefixes ?? []), ...(staticKeys?.retiredPrefixes ?? [])].some((prefix) =>
      key.startsWith(prefix),
    ),
  );
  const provider = named ?? guessed;
  if (named !== undefined && named.staticKeys === undefined) {
    throw new Failure("key_refused", `${named.title} has no keys to paste; connect it instead`);
  }
  if (provider === undefined) {
    throw new Failure(
      "key_refused",
      "It cannot be told whose key this is; add provider=… to the form",
    );
  }
  return provider;
}
