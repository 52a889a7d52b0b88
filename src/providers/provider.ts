/** What an error answer of a token endpoint can mean for us. */
export const answerMeanings = [
  /** Final for the account: a person has to connect it again. */
  "dead",
  /** Final for us as an application: nothing is wrong with the account. */
  "application_refused",
  /** Come back later. */
  "busy",
  /** Somebody refreshed this account a moment ago: read the stored credential again. */
  "just_refreshed",
  /** Not a verdict at all: an outage, a firewall page, half an answer. */
  "broken",
] as const;
export type AnswerMeaning = (typeof answerMeanings)[number];

/** One line of a provider's error dialect; the first that fits decides. */
export type ErrorRule = {
  readonly status?: number;
  /** The error code of a body in JSON or form encoding: `error`, `error.code`, `error_code`. */
  readonly code?: string;
  /** A piece of what the body says, in whatever case. */
  readonly text?: string;
  readonly means: AnswerMeaning;
};

/** Where a credential's owner is named. Paths are dotted: `user.id`. */
export type IdentityRule =
  | { readonly from: "token"; readonly idField: string }
  | {
      readonly from: "call";
      readonly idField: string;
      readonly labelField?: string;
      readonly siteField?: string;
      /** The scope that the application at the provider has to have for it. */
      readonly needs?: string;
      /** It names a team, not a person: knowing it signs nobody in. */
      readonly isShared?: true;
    };

/** A limit of a provider's API. */
export type CallLimit = {
  /** For each account, or for each value of an argument of the tools (a base, a site), whoever asks. */
  readonly per: "account" | { readonly argument: string };
  readonly calls: number;
  readonly seconds: number;
  /** How long it refuses everything once the limit was met; used when its answer does not say. */
  readonly penaltySeconds: number;
};

export type Provider = {
  readonly name: string;
  readonly title: string;
  /** Compared with `iss` of the authorization response when the provider sends one (RFC 9207). */
  readonly issuer?: string;
  /** Its metadata promises `iss` in every answer (RFC 9207): one without it is not its answer. */
  readonly promisesIssuer?: boolean;
  readonly endpoints: {
    /** `{host}` is replaced by the country site's host. */
    readonly authorize: string;
    readonly token: string;
    /** GET with the access token; proves a key and names its owner. */
    readonly identity?: string;
  };
  /** Country sites by id, for providers that have a host for each. */
  readonly sites?: Readonly<Record<string, string>>;
  readonly defaultSite?: string;
  /** How the token endpoint wants to be told who we are. `basic_if_secret`: public clients send only their id. */
  readonly clientAuthentication: "body" | "basic" | "basic_if_secret" | "none";
  readonly pkce: "required" | "switchable" | "off";
  /** Asked for at the authorization endpoint; providers that keep scopes in the application need none. */
  readonly scopes: readonly string[];
  readonly authorizeParameters?: Readonly<Record<string, string>>;
  readonly tokenParameters?: Readonly<Record<string, string>>;
  readonly identity: IdentityRule;
  readonly refresh: {
    /** The old refresh token dies when a new one is handed out. */
    readonly singleUse: boolean;
    /** A token answer may come without one (RFC 6749 section 5.1): it is used until it ends or is refused. */
    readonly isOptional?: true;
    /** A refresh ends the old access token too, so calls in flight meet a 401. */
    readonly endsOldAccessToken?: true;
    /** Used when an answer names no lifetime. Seconds. */
    readonly defaultAccessSeconds: number;
    /** How long a refresh token lives unused. Days; used when an answer names none. */
    readonly refreshTokenDays?: number;
    /** A field of the token answer with the refresh token's lifetime in seconds. */
    readonly expiresInField?: string;
    /** Without any call for so many days the provider forgets the connection. */
    readonly idleDays?: number;
    /** How many refreshes may be under way at the same time, of all accounts and replicas; 8 unless said. */
    readonly mostAtOnce?: number;
  };
  readonly errors: readonly ErrorRule[];
  /** How often its API may be used before it punishes: calls wait a little rather than meet that. */
  readonly callLimits?: readonly CallLimit[];
  /** Words by which the failed result of a tool says that a limit was met. */
  readonly limitWords?: readonly string[];
  /** How access is taken back at the provider; `{seller}` and `{client}` are replaced. */
  readonly revocation?:
    | { readonly how: "delete_with_access_token"; readonly url: string }
    | { readonly how: "rfc7009"; readonly url: string }
    /** Only on the provider's own page. */
    | { readonly how: "by_hand"; readonly url: string };
  /** Keys a person can paste instead of connecting. */
  readonly staticKeys?: {
    readonly prefixes: readonly string[];
    /** Beginnings of keys that no longer work, with the failure that explains it. */
    readonly retiredPrefixes?: readonly string[];
  };
};

/** What RFC 6749 section 5.2, HTTP and well-known providers say; every profile's own rules come first. */
export const standardErrors: readonly ErrorRule[] = [
  { status: 429, means: "busy" },
  { code: "invalid_grant", means: "dead" },
  { code: "bad_refresh_token", means: "dead" },
  { code: "invalid_refresh_token", means: "dead" },
  { code: "refresh_token_not_found", means: "dead" },
  { code: "refresh_token_already_used", means: "dead" },
  { code: "refresh_token_expired", means: "dead" },
  { code: "invalid_client", means: "application_refused" },
  { code: "unauthorized_client", means: "application_refused" },
  { code: "incorrect_client_credentials", means: "application_refused" },
  { code: "temporarily_unavailable", means: "busy" },
  { code: "server_error", means: "broken" },
  { code: "slow_down", means: "busy" },
  // Something is wrong with one request: no reason to stop for every account.
  { code: "invalid_request", means: "broken" },
  { code: "invalid_scope", means: "broken" },
  { code: "unsupported_grant_type", means: "broken" },
];
