import type { App } from "#src/app.ts";
import type { Provider } from "#src/providers/provider.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { OutsideTrouble } from "#src/http/fetch-exchange.ts";

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

/** Failures: `identity_failed`, and `key_refused` when the provider answers 401 or 403 to a key that was pasted. */
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
  const answer = await askIdentity(app, provider, credential);
  // A token rule names a field of the token answer; the identity endpoint calls the same thing `id`.
  const sellerId = idAt(answer, rule.from === "token" ? "id" : rule.idField);
  if (sellerId === undefined) throw failed(provider);
  const label = rule.from === "token" ? "nickname" : rule.labelField;
  const site = rule.from === "token" ? "site_id" : rule.siteField;
  return { sellerId, label: textAt(answer, label), site: textAt(answer, site) };
}

/** The token has said who it is; a name is welcome, but no reason to fail. */
async function nameOf(app: Pick<App, "outbound">, provider: Provider, credential: Credential) {
  const answer = await askIdentity(app, provider, credential).catch(() => undefined);
  return { label: textAt(answer, "nickname"), site: textAt(answer, "site_id") };
}

async function askIdentity(
  app: Pick<App, "outbound">,
  provider: Provider,
  { access, fields }: Credential,
) {
  const url = provider.endpoints.identity;
  if (url === undefined) throw failed(provider);
  const headers = { accept: "application/json", authorization: `Bearer ${access.reveal()}` };
  const answer = await app.outbound(url, { method: "GET", headers }).catch((error: unknown) => {
    throw failed(provider, error instanceof OutsideTrouble ? error.reason : "unreachable");
  });
  const { status } = answer;
  if (status === 401 || status === 403) {
    throw fields === undefined
      ? new Failure("key_refused", `${provider.title} does not accept this key`)
      : withoutPermission(provider, url, status);
  }
  if (status !== 200) throw failed(provider, `http_${status}`);
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

function failed(provider: Provider, reason = "no_identity"): Failure {
  return new Failure("identity_failed", `${provider.title} did not say whose credential this is`, {
    values: { provider: provider.title },
    reason,
  });
}

/** It has just handed out this access token: what is missing is a permission, and waiting does not bring it. */
function withoutPermission({ title, identity }: Provider, url: string, status: number): Failure {
  const needs = identity.from === "call" ? (identity.needs ?? url) : url;
  return new Failure("identity_failed", `${title} refused to say whose account this is`, {
    wording: "identity_refused",
    values: { provider: title, needs, error: `http_${status}` },
    hint: `The application at ${title} lacks a permission: ${needs}`,
    reason: `http_${status}`,
  });
}
