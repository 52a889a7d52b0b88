import type { Secret } from "#src/crypto/secret.ts";
import type { Problem, Reader } from "./read.ts";
import { isObject } from "#src/json.ts";

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

/** What the settings of the built-in ones begin with. */
const prefixes: Readonly<Record<string, string>> = {
  mercadolibre: "MELI",
  mercadopago: "MERCADOPAGO",
  airtable: "AIRTABLE",
  supabase: "SUPABASE",
};

/** What is told of a provider here. */
type Profile = { readonly title: string; readonly clientAuthentication: string };

type Given = {
  readonly registrations: Readonly<Record<string, RegistrationSettings>>;
  readonly providers: Readonly<Record<string, unknown>>;
};

/** Half a registration would be none, silently: the accounts of that provider could not be renewed. */
export function halfRegistrations(
  given: Given,
  profiles: ReadonlyMap<string, Profile>,
): readonly Problem[] {
  return [...profiles].flatMap(([name, profile]) => {
    const own = fieldsOf(given.providers[name]);
    const prefix = prefixes[name];
    if (prefix === undefined) return ownProblems(name, own, profile);
    const { clientId, clientSecret, redirectUri } = given.registrations[name] ?? {};
    const fields = {
      client_id: clientId !== undefined,
      client_secret: clientSecret !== undefined,
      redirect_uri: redirectUri !== undefined,
    };
    const shown = (field: Field) => `${prefix}_${field.toUpperCase()}`;
    const missing = missingIn(fields, profile, shown);
    const problems = missing.map(({ field, words }) => ({ setting: shown(field), message: words }));
    return fields.client_id ? problems : problems.concat(elsewhere(name, own, shown));
  });
}

function ownProblems(name: string, own: Fields, profile: Profile): readonly Problem[] {
  const shown = (field: Field) => `${name}.${field}`;
  return missingIn(own, profile, shown).map(({ field, words }) => ({
    setting: "SMARTDASH_PROVIDERS",
    message: `${shown(field)} ${words}${field === "client_secret" ? publicClient : ""}`,
  }));
}

const publicClient = '; a public client has "client_authentication": "none"';

const fieldNames = ["client_id", "client_secret", "redirect_uri"] as const;
type Field = (typeof fieldNames)[number];
type Fields = Readonly<Record<Field, boolean>>;
type Missing = { readonly field: Field; readonly words: string };

/** An empty text counts as not set, as in the environment. */
function fieldsOf(value: unknown): Fields {
  const isGiven = (field: Field) =>
    isObject(value) && typeof value[field] === "string" && value[field].trim() !== "";
  return {
    client_id: isGiven("client_id"),
    client_secret: isGiven("client_secret"),
    redirect_uri: isGiven("redirect_uri"),
  };
}

function missingIn(
  fields: Fields,
  { title, clientAuthentication }: Profile,
  shown: (field: Field) => string,
): readonly Missing[] {
  const found = fieldNames.find((field) => fields[field]);
  if (found === undefined) return [];
  if (!fields.client_id) {
    const why = `without it ${title} is not configured, and its accounts can be neither connected nor renewed`;
    const words = `is required with ${shown(found)} (${why}). Set it, or take ${shown(found)} away`;
    return [{ field: "client_id", words }];
  }
  const isPublic = clientAuthentication === "none" || clientAuthentication === "basic_if_secret";
  if (fields.client_secret || isPublic) return [];
  const why = `without it ${title} refuses every exchange and renewal`;
  const words = `is required with ${shown("client_id")} (${why}). Set it, or take ${shown("client_id")} away`;
  return [{ field: "client_secret", words }];
}

/** The registration of a built-in provider comes from settings of its own alone. */
function elsewhere(name: string, own: Fields, shown: (field: Field) => string): readonly Problem[] {
  return fieldNames
    .filter((field) => own[field])
    .map((field) => ({
      setting: "SMARTDASH_PROVIDERS",
      message: `${name}.${field} has no effect: a built-in provider has its registration from ${shown("client_id")} and its like. Set ${shown(field)}`,
    }));
}
