import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";

const mostBytes = 16 * 1024;

/**
 * The parameters of a request to a token endpoint: a form (RFC 6749 appendix B) or one JSON object. A
 * parameter stands once, except `resource` (RFC 8707), which may stand in a list.
 * Failures: `invalid_request`, `body_too_large`, `body_unreadable`.
 */
export async function readFields(request: Request): Promise<URLSearchParams> {
  const type = (request.headers.get("content-type") ?? "").toLowerCase();
  if (type.startsWith("application/json")) return fieldsOf(await readJsonObject(request));
  if (!type.startsWith("application/x-www-form-urlencoded")) {
    throw new Failure(
      "invalid_request",
      "Send an application/x-www-form-urlencoded or application/json body",
    );
  }
  const fields = new URLSearchParams(Buffer.from(await readBounded(request, mostBytes)).toString());
  refuseRepeated(fields);
  return fields;
}

function refuseRepeated(fields: URLSearchParams): void {
  const seen = new Set<string>();
  for (const name of fields.keys()) {
    if (seen.has(name) && name !== "resource") {
      throw new Failure("invalid_request", `${name.slice(0, 40)} stands twice`);
    }
    seen.add(name);
  }
}

/** A JSON object from a request of a program. Failures: `invalid_request`, `body_too_large`, `body_unreadable`. */
export async function readJsonObject(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBounded(request, mostBytes);
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (isObject(value)) return value;
  } catch {
    // Told below, without the parser's words.
  }
  throw new Failure("invalid_request", "The body is not a JSON object");
}

function fieldsOf(object: Readonly<Record<string, unknown>>): URLSearchParams {
  const pairs = Object.entries(object).flatMap(([name, value]) => {
    const values: readonly unknown[] =
      Array.isArray(value) && name === "resource" ? value : [value];
    return values.filter((each) => each !== null).map((each) => [name, textOf(name, each)]);
  });
  return new URLSearchParams(pairs);
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Failure("invalid_request", `${name.slice(0, 40)} must be a text`);
}
