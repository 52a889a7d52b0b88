import { isObject } from "#src/json.ts";
import { type ErrorRule, type IdentityRule, type Provider, answerMeanings } from "./provider.ts";

/** The starting point of a provider that is described by configuration alone. */
const blank: Omit<Provider, "name" | "title" | "endpoints"> = {
  clientAuthentication: "body",
  pkce: "required",
  scopes: [],
  identity: { from: "call", idField: "sub", labelField: "email" },
  refresh: { singleUse: true, isOptional: true, defaultAccessSeconds: 3600 },
  errors: [],
};

type ReadProvider = {
  readonly provider?: Provider;
  readonly problems: readonly string[];
};

/**
 * A provider from configuration, on top of a built-in one when `base` is given.
 * Fields: `title`, `issuer` (RFC 8414: endpoints are then discovered), `authorize`, `token`, `identity`,
 * `revoke`, `client_authentication`, `pkce`, `scopes`, `identity_id`, `identity_label`,
 * `refresh_token`, `single_use_refresh`, `access_seconds`, `refresh_token_days`, `promises_iss`, `errors`.
 */
export function readProvider(name: string, value: unknown, base?: Provider): ReadProvider {
  if (!isObject(value)) return { problems: [`${name} must be an object`] };
  const text: Text = (field) => (typeof value[field] === "string" ? value[field] : undefined);
  const endpoints = readEndpoints(text, base);
  if (typeof endpoints === "string") return { problems: [`${name} needs ${endpoints}`] };
  const { issuer: _, ...start } = base ?? { ...blank, name, title: name };
  const revoke = text("revoke");
  return {
    problems: [
      ...wrongFields(name, value),
      ...wrongErrors(name, value["errors"]),
      ...unsafeEndpoints(name, { ...endpoints, revoke }),
    ],
    provider: {
      ...start,
      ...issuerOf(text, base),
      promisesIssuer: value["promises_iss"] === true,
      name,
      title: text("title") ?? start.title,
      endpoints,
      clientAuthentication:
        oneOf(text("client_authentication"), authentications) ?? start.clientAuthentication,
      pkce: oneOf(text("pkce"), pkceKinds) ?? start.pkce,
      scopes: text("scopes")?.split(" ") ?? start.scopes,
      identity: readIdentity(text, start.identity),
      refresh: readRefresh(value, start.refresh),
      errors: [...readErrors(value["errors"]), ...start.errors],
      ...(revoke === undefined ? {} : { revocation: readRevocation(revoke, base) }),
    },
  };
}

const authentications = ["body", "basic", "basic_if_secret", "none"] as const;
const pkceKinds = ["required", "switchable", "off"] as const;
const promises = ["required", "optional"] as const;

const textFields =
  "title issuer authorize token identity revoke scopes identity_id identity_label client_id client_secret redirect_uri site".split(
    " ",
  );
const isText = (value: unknown) => typeof value === "string";
const mostErrors = 50;

/** What each field has to be; the first word is shown when it is not. */
const fields: Readonly<Record<string, readonly [string, (value: unknown) => boolean]>> = {
  ...Object.fromEntries(textFields.map((field) => [field, ["a text", isText] as const])),
  client_authentication: oneOfThese(authentications),
  pkce: oneOfThese(pkceKinds),
  refresh_token: oneOfThese(promises),
  errors: [`a list of at most ${mostErrors} objects`, isErrorList],
  promises_iss: ["true or false", (value) => typeof value === "boolean"],
  single_use_refresh: ["true or false", (value) => typeof value === "boolean"],
  access_seconds: ["a number", (value) => typeof value === "number" && value > 0],
  refresh_token_days: ["a number", (value) => typeof value === "number" && value > 0],
};

function isErrorList(value: unknown): boolean {
  return Array.isArray(value) && value.length <= mostErrors && value.every(isObject);
}

function oneOfThese(choices: readonly string[]): readonly [string, (value: unknown) => boolean] {
  return [
    `one of ${choices.join(", ")}`,
    (value) => typeof value === "string" && choices.includes(value),
  ];
}

function wrongFields(name: string, value: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(value).flatMap(([field, given]) => {
    const rule = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (rule === undefined) return [`${name}.${field} is not a field of a provider`];
    // What a discovered document leaves out is as good as not written.
    return given === undefined || rule[1](given) ? [] : [`${name}.${field} must be ${rule[0]}`];
  });
}

function unsafeEndpoints(
  name: string,
  urls: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const unsafe = Object.entries(urls).filter(
    ([, url]) => url !== undefined && !isSafeUrl(url.replace(/\{\w+\}/g, "x")),
  );
  return unsafe.map(
    ([field]) => `${name}.${field} must be an https URL (http is for loopback only)`,
  );
}

type Text = (field: string) => string | undefined;

/** Or what is missing. */
function readEndpoints(text: Text, base: Provider | undefined): Provider["endpoints"] | string {
  const authorize = text("authorize") ?? base?.endpoints.authorize;
  const token = text("token") ?? base?.endpoints.token;
  const identity = text("identity") ?? base?.endpoints.identity;
  if (authorize === undefined || token === undefined) {
    return `"authorize" and "token" (or an "issuer" that is discovered)`;
  }
  if (identity === undefined) {
    return `"identity": the address that says whose access token it is (a userinfo endpoint, GET with the token)`;
  }
  return { authorize, token, identity };
}

/** Other endpoints are another server: a built-in issuer no longer says anything about it. */
function issuerOf(text: Text, base: Provider | undefined): { readonly issuer?: string } {
  const issuer = text("issuer") ?? (text("authorize") === undefined ? base?.issuer : undefined);
  return issuer === undefined ? {} : { issuer };
}

function readRevocation(
  url: string,
  base: Provider | undefined,
): NonNullable<Provider["revocation"]> {
  const how = base?.revocation?.how;
  return { how: how === undefined || how === "by_hand" ? "rfc7009" : how, url };
}

function readIdentity(text: Text, start: IdentityRule): IdentityRule {
  const idField = text("identity_id");
  const labelField = text("identity_label");
  if (idField === undefined) return start;
  return { from: "call", idField, ...(labelField === undefined ? {} : { labelField }) };
}

function readErrors(value: unknown): readonly ErrorRule[] {
  const rules = isErrorList(value) && Array.isArray(value) ? value.filter(isObject) : [];
  return rules.flatMap(({ status, code, text, means: word }) => {
    const means = answerMeanings.find((each) => each === word);
    if (means === undefined) return [];
    const rule: ErrorRule = {
      means,
      ...(typeof status === "number" ? { status } : {}),
      ...(typeof code === "string" ? { code } : {}),
      ...(typeof text === "string" ? { text } : {}),
    };
    return [rule];
  });
}

const errorFields: Readonly<Record<string, readonly [string, (value: unknown) => boolean]>> = {
  status: [
    "a status from 200 to 599",
    (value) => typeof value === "number" && Number.isInteger(value) && value >= 200 && value < 600,
  ],
  code: ["a text", (value) => isText(value) && value !== ""],
  text: ["a text", (value) => isText(value) && value !== ""],
  means: oneOfThese(answerMeanings),
};

function wrongErrors(name: string, value: unknown): readonly string[] {
  const rules = isErrorList(value) && Array.isArray(value) ? value.filter(isObject) : [];
  return rules.flatMap((rule, at) => {
    const where = `${name}.errors[${at}]`;
    const wrong = Object.entries(rule).flatMap(([field, given]) => {
      const wanted = Object.hasOwn(errorFields, field) ? errorFields[field] : undefined;
      if (wanted === undefined) return [`${where}.${field} is not a field of an error`];
      return wanted[1](given) ? [] : [`${where}.${field} must be ${wanted[0]}`];
    });
    const missing = missingIn(rule);
    return missing === undefined ? wrong : wrong.concat(`${where} needs ${missing}`);
  });
}

function missingIn({ status, code, text, means }: Readonly<Record<string, unknown>>) {
  if (means === undefined) return `"means"`;
  if (code !== undefined || text !== undefined) return undefined;
  if (means === "dead" || means === "application_refused") {
    return `"code" or "text": a status alone is no verdict about an account`;
  }
  return status === undefined ? `"status", "code" or "text"` : undefined;
}

function readRefresh(value: Readonly<Record<string, unknown>>, start: Provider["refresh"]) {
  const seconds = value["access_seconds"];
  const days = value["refresh_token_days"];
  const singleUse = value["single_use_refresh"];
  const promise = value["refresh_token"];
  const { isOptional, ...rest } = start;
  const mayLack = promise === undefined ? isOptional === true : promise === "optional";
  return {
    ...rest,
    ...(mayLack ? ({ isOptional: true } as const) : {}),
    ...(typeof singleUse === "boolean" ? { singleUse } : {}),
    ...(typeof seconds === "number" ? { defaultAccessSeconds: seconds } : {}),
    ...(typeof days === "number" ? { refreshTokenDays: days } : {}),
  };
}

function oneOf<T extends string>(value: string | undefined, choices: readonly T[]): T | undefined {
  return choices.find((choice) => choice === value);
}

/** Whether `text` is an absolute URL that may carry a credential: https, or http on loopback. */
function isSafeUrl(text: string): boolean {
  if (!isHttpUrl(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** Whether `text` is an absolute http(s) URL. */
export function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
