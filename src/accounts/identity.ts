import type { App } from "#src/app.ts";
import type { Provider } from "#src/catalog/provider.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";

/** Whose credential it is, in the provider's words. */
export type Identity = {
  readonly sellerId: string;
  readonly label: string | null;
  readonly site: string | null;
};

type Credential = {
  readonly access: Secret;
  /** The token answer, when there was one. */
  readonly fields: Readonly<Record<string, unknown>> | undefined;
};

/** Failures: `identity_failed`, `key_refused` when the provider answers 401 or 403. */
export async function identify(
  app: Pick<App, "outbound">,
  provider: Provider,
  credential: Credential,
): Promise<Identity> {
  const rule = provider.identity;
  if (rule.from === "token" && credential.fields !== undefined) {
    const sellerId = idAt(credential.fields, rule.idField);
    if (sellerId !== undefined) return { sellerId, ...(await nameOf(app, provider, credential)) };
  }
  const answer = await askIdentity(app, provider, credential.access);
  // A token rule names a field of the token answer; the identity endpoint calls the same thing `id`.
  const sellerId = idAt(answer, rule.from === "token" ? "id" : rule.idField);
  if (sellerId === undefined) throw failed(provider);
  const label = rule.from === "token" ? "nickname" : rule.labelField;
  const site = rule.from === "token" ? "site_id" : rule.siteField;
  return { sellerId, label: textAt(answer, label), site: textAt(answer, site) };
}

/** The token has said who it is; a name is welcome, but no reason to fail. */
async function nameOf(app: Pick<App, "outbound">, provider: Provider, { access }: Credential) {
  const answer = await askIdentity(app, provider, access).catch(() => undefined);
  return { label: textAt(answer, "nickname"), site: textAt(answer, "site_id") };
}

async function askIdentity(app: Pick<App, "outbound">, provider: Provider, access: Secret) {
  const url = provider.endpoints.identity;
  if (url === undefined) throw failed(provider);
  const headers = { accept: "application/json", authorization: `Bearer ${access.reveal()}` };
  const answer = await app.outbound(url, { method: "GET", headers }).catch(() => undefined);
  if (answer?.status === 401 || answer?.status === 403) {
    throw new Failure("key_refused", `${provider.title} does not accept this key`);
  }
  if (answer?.status !== 200) throw failed(provider);
  try {
    const body: unknown = JSON.parse(answer.text);
    return body;
  } catch {
    throw failed(provider);
  }
}

function idAt(value: unknown, path: string): string | undefined {
  const found = valueAt(value, path);
  if (typeof found === "number" && Number.isSafeInteger(found)) return String(found);
  return typeof found === "string" && found !== "" && found.length <= 200 ? found : undefined;
}

function textAt(value: unknown, path: string | undefined): string | null {
  const found = path === undefined ? undefined : valueAt(value, path);
  return typeof found === "string" ? found.slice(0, 200) : null;
}

/** `organization.0.id` and the like. */
function valueAt(value: unknown, path: string): unknown {
  let current: unknown = value;
  for (const step of path.split(".")) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, step))
      return undefined;
    current = Reflect.get(current, step);
  }
  return current;
}

function failed(provider: Provider): Failure {
  return new Failure("identity_failed", `${provider.title} did not say whose credential this is`, {
    values: { provider: provider.title },
  });
}
