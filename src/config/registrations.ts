import type { Secret } from "#src/crypto/secret.ts";
import type { Reader } from "./read.ts";

/** What a provider knows us by, as far as the settings say it. */
export type RegistrationSettings = {
  readonly clientId?: string | undefined;
  readonly clientSecret?: Secret | undefined;
  readonly redirectUri?: string | undefined;
  readonly site?: string | undefined;
  readonly pkce?: boolean | undefined;
  readonly scopes?: string | undefined;
};

export function registrationsFrom(read: Reader): Readonly<Record<string, RegistrationSettings>> {
  return {
    mercadolibre: {
      clientId: read.text("MELI_CLIENT_ID"),
      clientSecret: read.secret("MELI_CLIENT_SECRET"),
      redirectUri: read.url("MELI_REDIRECT_URI"),
      site: read.text("MELI_SITE"),
      pkce: read.flag("MELI_PKCE"),
    },
    mercadopago: {
      clientId: read.text("MERCADOPAGO_CLIENT_ID"),
      clientSecret: read.secret("MERCADOPAGO_CLIENT_SECRET"),
      redirectUri: read.url("MERCADOPAGO_REDIRECT_URI"),
      pkce: read.flag("MERCADOPAGO_PKCE"),
    },
    airtable: {
      clientId: read.text("AIRTABLE_CLIENT_ID"),
      clientSecret: read.secret("AIRTABLE_CLIENT_SECRET"),
      redirectUri: read.url("AIRTABLE_REDIRECT_URI"),
      scopes: read.text("AIRTABLE_SCOPES"),
    },
    supabase: {
      clientId: read.text("SUPABASE_CLIENT_ID"),
      clientSecret: read.secret("SUPABASE_CLIENT_SECRET"),
      redirectUri: read.url("SUPABASE_REDIRECT_URI"),
    },
  };
}
