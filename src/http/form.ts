import { Failure } from "#src/failure.ts";

const mostBytes = 16 * 1024;

/** The fields of a posted form. Failures: `body_too_large`, `form_refused` when it is not a form. */
export async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  if (!type.toLowerCase().startsWith("application/x-www-form-urlencoded")) {
    throw new Failure("form_refused", "Send an application/x-www-form-urlencoded body");
  }
  if (Number(request.headers.get("content-length") ?? 0) > mostBytes) {
    throw new Failure("body_too_large", "A form here has at most 16 KiB");
  }
  const text = await request.text();
  if (text.length > mostBytes)
    throw new Failure("body_too_large", "A form here has at most 16 KiB");
  return new URLSearchParams(text);
}
