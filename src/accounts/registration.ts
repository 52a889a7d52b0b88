import type { App } from "#src/app.ts";
import type { Provider } from "#src/providers/provider.ts";
import type { RegistrationSettings } from "#src/config/registrations.ts";
import { isObject } from "#src/json.ts";
import { Secret, tagOf } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";

/** Us as a client of a provider. */
export type Registration = {
  readonly provider: Provider;
  readonly clientId: string;
  readonly clientSecret: Secret | undefined;
  readonly redirectUri: string;
  readonly usesPkce: boolean;
  readonly scopes: readonly string[];
  readonly site: string | undefined;
};

const defaultCallbackPath = "/auth/callback";

type Settings = Pick<App, "catalog" | "config" | "publicUrl">;

/** Failures: `provider_unknown`, `provider_not_configured`. */
export function registrationOf(app: Settings, name: string): Registration {
  const provider = app.catalog.providers.get(name);
  if (provider === undefined) throw new Failure("provider_unknown");
  const settings = app.config.registrations[name] ?? ownRegistration(app.config.providers[name]);
  if (settings.clientId === undefined) {
    throw new Failure("provider_not_configured", `${provider.title} has no client id`, {
      hint: "See docs/settings.md; a command needs the gateway's own settings",
      values: { provider: provider.title },
    });
  }
  return {
    provider,
    clientId: settings.clientId,
    clientSecret: settings.clientSecret,
    redirectUri: settings.redirectUri ?? `${app.publicUrl}${defaultCallbackPath}`,
    usesPkce:
      provider.pkce === "required" || (provider.pkce === "switchable" && settings.pkce !== false),
    scopes: settings.scopes?.split(" ") ?? provider.scopes,
    site: settings.site ?? provider.defaultSite,
  };
}

/** Recognises a registration without telling anything about it. */
export function tagOfRegistration(
  app: Pick<App, "bindingKey">,
  { clientId, clientSecret }: Registration,
): string {
  return tagOf(app.bindingKey, `registration ${clientId} ${clientSecret?.reveal() ?? ""}`);
}

/** Every provider that people can connect here. */
export function connectable(app: Settings): readonly Registration[] {
  return [...app.catalog.providers.keys()].flatMap((name) => {
    try {
      return [registrationOf(app, name)];
    } catch {
      return [];
    }
  });
}

/** The paths at which providers send browsers back. */
export function callbackPaths(app: Settings): ReadonlySet<string> {
  const configured = connectable(app).map((each) => new URL(each.redirectUri).pathname);
  return new Set([defaultCallbackPath, ...configured]);
}

function ownRegistration(value: unknown): RegistrationSettings {
  if (!isObject(value)) return {};
  const text = (field: string) => {
    const found = value[field];
    return typeof found === "string" && found !== "" ? found : undefined;
  };
  const secret = text("client_secret");
  return {
    clientId: text("client_id"),
    clientSecret: secret === undefined ? undefined : new Secret(secret),
    redirectUri: text("redirect_uri"),
    site: text("site"),
  };
}
