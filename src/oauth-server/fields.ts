import { isObject } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";

const mostBytes = 16 * 1024;

/** The parameters that any of the endpoints knows; others are passed over (RFC 6749 section 3.2). */
const known = new Set(
  "client_id client_secret client_assertion client_assertion_type grant_type code code_verifier redirect_uri refresh_token device_code scope resource token token_type_hint".split(
    " ",
  ),
);

/**
 * The parameters of a request to a token endpoint: a form (RFC 6749 appendix B) or one JSON object. One without a
 * value, or null in JSON, is as if it were not there (section 3.1). A known one stands once, except `resource`
 * (RFC 8707), which may stand in a list.
 * Failures: `invalid_request`, `body_too_large`, `body_unreadable`.
 */
export async function readFields(request: Request): Promise<URLSearchParams> {
  const types = (request.headers.get("content-type") ?? "").toLowerCase().split(",");
  const isNamed = (type: string) => types.some((each) => each.trim().startsWith(type));
  const [isJson, isForm] = [isNamed("application/json"), isNamed(formType)];
  if (!isJson && !isForm) {
    throw new Failure("invalid_request", `Send an ${formType} or application/json body`);
  }
  const text = Buffer.from(await readBounded(request, mostBytes)).toString();
  // Some clients name both: the body itself says which one it is.
  const isObjectText = /^[\s\uFEFF]*\{/.test(text);
  return isJson && (!isForm || isObjectText)
    ? fieldsOf(parseObject(text))
    : withValues(new URLSearchParams(text));
}

const formType = "application/x-www-form-urlencoded";

/**
 * The parameters that have a value (RFC 6749 section 3.1). Failures: `invalid_request` when one that is known stands
 * more than once.
 */
export function withValues(
  sent: URLSearchParams,
  isKnown: (name: string) => boolean = (name) => known.has(name),
): URLSearchParams {
  const given = [...sent].filter(([, value]) => value !== "");
  const names = new Set<string>();
  for (const [name] of given) {
    if (names.has(name) && name !== "resource" && isKnown(name)) {
      throw new Failure("invalid_request", `${name.slice(0, 40)} is duplicated`);
    }
    names.add(name);
  }
  return given.length === sent.size ? sent : new URLSearchParams(given);
}

/** A JSON object from a request of a program. Failures: `invalid_request`, `body_too_large`, `body_unreadable`. */
export async function readJsonObject(request: Request): Promise<Readonly<Record<string, unknown>>> {
  return parseObject(Buffer.from(await readBounded(request, mostBytes)).toString());
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ""));
    if (isObject(value)) return value;
  } catch {
    // Told below, without the parser's words.
  }
  throw new Failure("invalid_request", "The body is not a JSON object");
}

function fieldsOf(object: Readonly<Record<string, unknown>>): URLSearchParams {
  const pairs = Object.entries(object).flatMap(([name, value]) => {
    if (!known.has(name)) return [];
    const values: readonly unknown[] =
      Array.isArray(value) && name === "resource" ? value : [value];
    return values.filter((each) => each !== null).map((each) => [name, textOf(name, each)]);
  });
  return withValues(new URLSearchParams(pairs));
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Failure("invalid_request", `${name.slice(0, 40)} must be a text`);
}

/** A parameter that the grant or endpoint needs. Failures: `invalid_request` (RFC 6749 section 5.2). */
export function expectField(fields: URLSearchParams, name: string): string {
  const value = fields.get(name);
  if (value === null) throw new Failure("invalid_request", `${name} is missing`);
  return value;
}
