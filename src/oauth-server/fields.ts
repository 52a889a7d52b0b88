import { isObject } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { type Reading, readBounded } from "#src/http/body.ts";

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
export async function readFields(request: Request, reading?: Reading): Promise<URLSearchParams> {
  const given = request.headers.get("content-type") ?? "";
  const { isJson, isForm } = given === formType ? onlyForm : kindsIn(given);
  if (!isJson && !isForm) {
    throw new Failure("invalid_request", `Send an ${formType} or application/json body`);
  }
  const body = readBounded(request, mostBytes, reading);
  const text = Buffer.from(body instanceof Promise ? await body : body).toString();
  // Some clients name both: the body itself says which one it is.
  const isObjectText = isJson && /^[\s\uFEFF]*\{/.test(text);
  return isJson && (!isForm || isObjectText)
    ? fieldsOf(parseObject(text))
    : withValues(new URLSearchParams(text));
}

const formType = "application/x-www-form-urlencoded";
const onlyForm = { isJson: false, isForm: true };

/** What a body may be, by its content type: some clients name several. */
function kindsIn(contentType: string) {
  const types = contentType.toLowerCase().split(",");
  const isNamed = (type: string) => types.some((each) => each.trim().startsWith(type));
  return { isJson: isNamed("application/json"), isForm: isNamed(formType) };
}

/**
 * The parameters that have a value (RFC 6749 section 3.1). Failures: `invalid_request` when one that is known stands
 * more than once.
 */
export function withValues(
  sent: URLSearchParams,
  isKnown: (name: string) => boolean = (name) => known.has(name),
): URLSearchParams {
  const names = new Set<string>();
  let hasEmpty = false;
  for (const [name, value] of sent) {
    hasEmpty ||= value === "";
    if (value === "") continue;
    if (names.has(name) && name !== "resource" && isKnown(name)) {
      throw new Failure("invalid_request", `${name.slice(0, 40)} is duplicated`);
    }
    names.add(name);
  }
  return hasEmpty ? new URLSearchParams([...sent].filter(([, value]) => value !== "")) : sent;
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
