import { isHeaderName } from "#src/config/read.ts";
import { isObject } from "#src/json.ts";
import { Secret } from "#src/crypto/secret.ts";
import { type ToolRules, readToolRules } from "./tool-rules.ts";
import { isHttpUrl } from "#src/providers/generic.ts";

/** What an upstream is given in place of the agent's bearer. */
type CredentialRule =
  /** The access token of the caller's account at this provider. */
  | { readonly kind: "account"; readonly provider: string }
  /** One key for every caller. */
  | { readonly kind: "key"; readonly key: Secret; readonly header: string; readonly scheme: string }
  | { readonly kind: "none" }
  /** Nothing, and only agents of the operator are let in. */
  | { readonly kind: "operator" };

/** An MCP server that we proxy to. */
export type Upstream = {
  readonly name: string;
  readonly title: string;
  readonly url: string;
  readonly credential: CredentialRule;
  readonly tools: ToolRules;
  /** Whose bearers it takes, where these are not its own. */
  readonly admits?: string;
  /** Present where `url` is an API: this process answers MCP itself, with these tools of a pack. */
  readonly pack?: { readonly name: string; readonly tools: readonly string[] };
};

/** The MCP server inside this gateway, and other nodes behind it: not addresses of a network. */
export const insideScheme = "edge-hive:";

type ReadUpstream = {
  readonly upstream?: Upstream;
  readonly problems: readonly string[];
};

/**
 * An upstream from configuration, on top of a built-in one when `base` is given.
 * Fields: `url`, `title`, `credential`: `"none"`, `{"provider": "airtable"}`, or
 * `{"key": "…", "header": "Authorization", "scheme": "Bearer"}`; `tools`: see `readToolRules`.
 */
export function readUpstream(name: string, value: unknown, base?: Upstream): ReadUpstream {
  if (!isObject(value)) return { problems: [`${name} must be an object`] };
  const url = value["url"] ?? base?.url;
  const credential = readCredential(value["credential"], base);
  const tools = readToolRules(name, value["tools"], base?.tools);
  const problems = [
    ...wrongFields(name, value),
    ...tools.problems,
    ...unless(
      /^[a-z0-9][a-z0-9_-]{0,62}$/.test(name),
      `${name}: a name has lower-case letters, digits, - and _`,
    ),
    ...unless(typeof url === "string" && isHttpUrl(url), `${name}.url must be an http(s) URL`),
    ...unless(
      credential !== undefined,
      `${name}.credential must be "none", {"provider": …} or {"key": …}`,
    ),
  ];
  if (problems.length > 0 || typeof url !== "string" || credential === undefined)
    return { problems };
  const title = titleOf(value, base) ?? name;
  const upstream = { ...packOf(base), name, title, url, credential, tools: tools.rules };
  return { upstream, problems };
}

const upstreamFields = ["url", "title", "credential", "tools"];

/** A field that is written wrongly would be left out: a key would go out where nobody looks for it. */
function unknownFields(
  place: string,
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
): readonly string[] {
  return Object.keys(value)
    .filter((field) => !known.includes(field))
    .map((field) => `${place}.${field} is not one of ${known.join(", ")}`);
}

function wrongFields(name: string, value: Readonly<Record<string, unknown>>): readonly string[] {
  const { title = "", credential } = value;
  return [
    ...unknownFields(name, value, upstreamFields),
    ...wrongCredential(`${name}.credential`, credential),
    ...unless(typeof title === "string", `${name}.title must be a text`),
  ];
}

function wrongCredential(place: string, value: unknown): readonly string[] {
  if (!isObject(value)) return [];
  if ("provider" in value) return unknownFields(place, value, ["provider"]);
  const { key, header, scheme = "" } = value;
  return [
    ...unknownFields(place, value, ["key", "header", "scheme"]),
    ...unless(
      header === undefined || isHeaderName(header),
      `${place}.header must be the name of a header`,
    ),
    ...unless(typeof scheme === "string", `${place}.scheme must be a text`),
    ...Object.entries({ key, scheme }).flatMap(([field, text]) =>
      unless(
        typeof text !== "string" || /^[\x20-\x7e\x80-\xff]*$/.test(text.trim()),
        `${place}.${field} holds what no header may hold, such as a line end`,
      ),
    ),
  ];
}

function packOf(base: Upstream | undefined): Pick<Upstream, "pack"> {
  return base?.pack === undefined ? {} : { pack: base.pack };
}

function titleOf(value: Readonly<Record<string, unknown>>, base: Upstream | undefined) {
  return typeof value["title"] === "string" ? value["title"] : base?.title;
}

function unless(isRight: boolean, problem: string): readonly string[] {
  return isRight ? [] : [problem];
}

function readCredential(value: unknown, base: Upstream | undefined): CredentialRule | undefined {
  if (value === undefined) return base?.credential;
  if (value === "none") return { kind: "none" };
  if (!isObject(value)) return undefined;
  const { provider } = value;
  return typeof provider === "string" ? { kind: "account", provider } : readStaticKey(value);
}

function readStaticKey({
  key,
  header,
  scheme,
}: Readonly<Record<string, unknown>>): CredentialRule | undefined {
  if (typeof key !== "string" || key === "") return undefined;
  const hasHeader = typeof header === "string";
  return {
    kind: "key",
    key: new Secret(key),
    header: hasHeader ? header.toLowerCase() : "authorization",
    scheme: typeof scheme === "string" ? scheme : hasHeader ? "" : "Bearer",
  };
}
