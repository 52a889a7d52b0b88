import {
  type AnswerMeaning,
  type ErrorRule,
  type Provider,
  standardErrors,
} from "#src/providers/provider.ts";
import { isObject } from "#src/json.ts";
import { Secret } from "#src/crypto/secret.ts";
import type { OutsideAnswer } from "#src/http/fetch-exchange.ts";
import { readRetryAfter } from "#src/http/reason.ts";
import type { Account } from "./store.ts";

/** What a token endpoint handed out. */
export type Tokens = {
  readonly access: Secret;
  readonly refresh: Secret | undefined;
  /** Undefined: it names no end and comes without a refresh token, so it is used until it is refused. */
  readonly accessSeconds: number | undefined;
  readonly refreshSeconds: number | undefined;
  readonly scope: string | undefined;
  /** The whole answer, for the identity rule. Holds secrets. */
  readonly fields: Fields;
};

/** Why a token endpoint handed out nothing. `code` is the provider's own word, safe to show. */
export type Refusal = {
  readonly means: AnswerMeaning;
  readonly code: string;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** It speaks of this one token or request: no reason to stop asking for other accounts. */
  readonly isAboutRequest: boolean;
};

type Fields = Readonly<Record<string, unknown>>;

/** The members of an answer in JSON (also behind a byte order mark) or form encoding; undefined for anything else. */
export function fieldsOf({ text, headers }: Pick<OutsideAnswer, "text" | "headers">) {
  const plain = text.replace(/^\uFEFF/, "").trim();
  try {
    const value: unknown = JSON.parse(plain);
    const first: unknown = Array.isArray(value) ? value[0] : value;
    return isObject(first) ? first : undefined;
  } catch {
    return formFieldsOf(plain, headers.get("content-type") ?? "");
  }
}

const mostFormFields = 50;

/**
 * Some name no type or a wrong one, and some encode nothing; a page never looks like this. Tokens are taken in whatever
 * form they come: asking again would cost them.
 */
function formFieldsOf(text: string, type: string): Fields | undefined {
  if (!/^[\w.-]+=/.test(text)) return undefined;
  const isStrict = /^[^\s<>"{}]*$/.test(text) && !/html|xml/i.test(type);
  const isForm = isStrict || /x-www-form-urlencoded/i.test(type);
  if (!isForm && !/(?:^|&)access_token=[^&]/.test(text)) return undefined;
  return Object.fromEntries([...new URLSearchParams(text)].slice(0, mostFormFields));
}

/** An answer of 2xx with an access token has cost the refresh token that was sent for it: it is one, whatever else is wrong. */
export function hasTokens({ status }: OutsideAnswer, fields: Fields | undefined): fields is Fields {
  const access = fields?.["access_token"];
  return status >= 200 && status < 300 && typeof access === "string" && access !== "";
}

/** RFC 6749 section 5.1. Members of another type than they should be count as absent. */
export function tokensIn({ refresh: profile }: Provider, fields: Fields): Tokens {
  const text = (name: string) => {
    const value = fields[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const refresh = text("refresh_token");
  const stated = secondsIn(fields["expires_in"]);
  const assumed =
    profile.isOptional === true && refresh === undefined ? undefined : profile.defaultAccessSeconds;
  const days = profile.refreshTokenDays;
  const { expiresInField } = profile;
  return {
    access: new Secret(text("access_token") ?? ""),
    refresh: refresh === undefined ? undefined : new Secret(refresh),
    accessSeconds: stated ?? assumed,
    refreshSeconds:
      (expiresInField === undefined ? undefined : secondsIn(fields[expiresInField])) ??
      (days === undefined ? undefined : days * 86_400),
    scope: text("scope")?.slice(0, 2000).replaceAll("\0", "").toWellFormed(),
    fields,
  };
}

/** A number, also one that is written as a text; undefined when it is neither. */
function secondsIn(lifetime: unknown): number | undefined {
  const seconds = typeof lifetime === "string" ? Number.parseFloat(lifetime) : lifetime;
  const isSensible = typeof seconds === "number" && Number.isFinite(seconds) && seconds >= 0;
  return isSensible ? seconds : undefined;
}

/** What an answer without tokens means, by the provider's own rules and then the standard ones. */
export function refusalOf(provider: Provider, answer: OutsideAnswer, now: Date): Refusal {
  const { status, headers, text } = answer;
  const fields = fieldsOf(answer);
  const codes = fields === undefined ? [] : codesIn(fields);
  const words = (fields === undefined ? text : textsIn(fields)).toLowerCase();
  const ruleFor = (some: readonly string[]) =>
    [...provider.errors, ...standardErrors].find(
      (each) =>
        (each.status === undefined || each.status === status) &&
        (each.code === undefined || some.includes(each.code.toLowerCase())) &&
        (each.text === undefined || words.includes(each.text.toLowerCase())),
    );
  // The first code is what the answer is about; others are details of it.
  const rule = ruleFor(codes.slice(0, 1)) ?? ruleFor(codes);
  const means = meaningOf(status, fields !== undefined, rule);
  return {
    means,
    code: rule?.code?.toLowerCase() ?? codes[0] ?? `http_${status}`,
    status,
    retryAfterSeconds: readRetryAfter(headers.get("retry-after"), now),
    isAboutRequest: fields !== undefined && means !== "busy" && mayBeAboutRequest(status),
  };
}

/**
 * A verdict is spoken in JSON or form encoding, with a status of the client's (RFC 6749 section 5.2) or, at some, of
 * success. A server in trouble may say anything, and so may a page of whoever stands before it.
 */
function meaningOf(
  status: number,
  isReadable: boolean,
  rule: ErrorRule | undefined,
): AnswerMeaning {
  const means = rule?.means ?? "broken";
  if (means === "dead" || means === "application_refused") {
    if (isReadable && mayBeAboutRequest(status)) return means;
    return status === 429 ? "busy" : "broken";
  }
  const isPage = status >= 300 ? status < 400 : !isReadable;
  return isPage ? "broken" : means;
}

const busyStatuses = new Set([408, 425, 429]);

function mayBeAboutRequest(status: number): boolean {
  return [2, 4].includes(Math.floor(status / 100)) && !busyStatuses.has(status);
}

const codeMembers = "error code error_code errorcode type error_type errortype status reason".split(
  " ",
);
const containers = "errors fault detail details data".split(" ");
const deepest = 3;

/** Where providers write their error codes, the likeliest first: `error`, `error.code`, `error_code`, `errors[0].code`. */
function codesIn(value: unknown, depth = 0): readonly string[] {
  const fields: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof fields === "string" && depth > 0) return isCode(fields) ? [fields.toLowerCase()] : [];
  if (!isObject(fields) || depth > deepest) return [];
  const members = new Map(
    Object.entries(fields).map(([name, each]) => [name.toLowerCase(), each] as const),
  );
  const inside = (name: string) => {
    const member = members.get(name);
    return isObject(member) || Array.isArray(member) ? codesIn(member, depth + 1) : [];
  };
  return [
    ...codeMembers.flatMap((name) => codesIn(members.get(name), depth + 1)),
    ...containers.flatMap(inside),
  ];
}

/** A word, or several: what mixes letters and digits may be a secret that the provider repeats. */
function isCode(text: string): boolean {
  const isWords = text.length <= 60 && /^[\w.-]+$/.test(text) && /[a-z]/i.test(text);
  return isWords && text.split(/[._-]/).every((word) => /^[a-z]*\d{0,10}$/i.test(word));
}

/** Every text of the answer, and of what is in it. */
function textsIn(fields: Fields): string {
  const values = Object.values(fields);
  const inside = values.filter(isObject).flatMap((each) => Object.values(each));
  return [...values, ...inside].filter((each) => typeof each === "string").join("\n");
}

const leastSeconds = 5;
const mostSeconds = 10 * 365 * 86_400;
const longestHeadStartMs = 10 * 60_000;
const thirtyDaysMs = 30 * 86_400_000;

/** The moment an answer arrived, by the database's clock, and a number from 0 to 1. */
type Arrival = { readonly at: Date; readonly jitter: number };

/**
 * When a credential ends, counted from the moment its answer arrived, and from when on it is renewed early:
 * a tenth of the access token's lifetime before its end (ten minutes at most), or a third of the refresh
 * token's (thirty days at most), whichever comes first. Spread by half of that, so that accounts connected
 * together are not refreshed together.
 */
export function lifetimes(
  arrival: Arrival,
  tokens: { readonly accessSeconds: number; readonly refreshSeconds: number | undefined },
): Pick<Account, "accessExpiresAt" | "refreshExpiresAt" | "refreshFrom"> {
  const now = arrival.at.getTime();
  const spread = 1 + arrival.jitter / 2;
  const access = bounded(tokens.accessSeconds) * 1000;
  const refresh =
    tokens.refreshSeconds === undefined ? Infinity : bounded(tokens.refreshSeconds) * 1000;
  const early = Math.min(
    access - spread * Math.min(access / 10, longestHeadStartMs),
    refresh - spread * Math.min(refresh / 3, thirtyDaysMs),
  );
  return {
    accessExpiresAt: new Date(now + access),
    refreshExpiresAt: Number.isFinite(refresh) ? new Date(now + refresh) : null,
    refreshFrom: new Date(now + early),
  };
}

/** A lifetime of nothing would mean a refresh for every call, one of ages no date. */
function bounded(seconds: number): number {
  return Math.min(Math.max(seconds, leastSeconds), mostSeconds);
}
