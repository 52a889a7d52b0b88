import { isObject } from "#src/json.ts";
import { type ProblemCode, ToolProblem, unknownOutcome } from "./problem.ts";
import { vendorText } from "./vendor-text.ts";

/** 401 and 403 that no newer credential helps against: the application, or its permission, is refused. */
export function isBlocked(body: unknown): boolean {
  return (
    isObject(body) &&
    (body["code"] === "unauthorized_scopes" || body["error"] === "unauthorized_scopes")
  );
}

const codes: Readonly<Record<number, ProblemCode>> = {
  400: "rejected",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  410: "not_found",
  412: "conflict",
  429: "rate_limited",
};

/** The vendor's eight shapes of an error, in one. What it says of it is a stranger's text. */
export function problemOf(
  method: string,
  { status, body }: { readonly status: number; readonly body: unknown },
): ToolProblem {
  if (status === 401) {
    return new ToolProblem("app_blocked", "The API refuses this gateway's application", {
      httpStatus: status,
      nextStep: "Tell the operator of this gateway; do not try again.",
    });
  }
  // Nobody knows whether it was done before the server failed.
  if ((status >= 500 || status === 408) && method !== "GET") return unknownOutcome();
  const code = codes[status] ?? (status >= 500 ? "upstream_down" : "rejected");
  const isPolicy = isObject(body) && body["blocked_by"] === "PolicyAgent";
  const nextStep = isPolicy
    ? "A permission of the application may be missing, or the consent too old: the seller connects the account again, or the operator looks at the application's permissions."
    : nextSteps[code];
  return new ToolProblem(code, `The API answered ${status}`, {
    httpStatus: status,
    ...defined("untrustedText", wordsOf(body)),
    ...defined("nextStep", nextStep),
  });
}

function defined<K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one key, as the type says
  return (value === undefined ? {} : { [key]: value }) as Partial<Record<K, string>>;
}

const nextSteps: Partial<Record<ProblemCode, string>> = {
  rate_limited: "Wait a minute, and ask for less at once.",
  conflict: "Somebody else changed it meanwhile: read it again, and decide anew.",
  upstream_down: "Try again in a minute.",
};

const longestWords = 500;

function wordsOf(body: unknown): string | undefined {
  if (!isObject(body)) return undefined;
  const causes = Array.isArray(body["cause"]) ? body["cause"].slice(0, 20) : [];
  const inner = causes.flatMap((each: unknown) =>
    isObject(each) && typeof each["message"] === "string" ? [each["message"]] : [],
  );
  const own = [body["message"], body["description"], body["error"], body["code"], body["key"]];
  const texts = [...own.slice(0, 2).filter((each) => typeof each === "string"), ...inner];
  const words = texts.length > 0 ? texts.join("; ") : own.find((each) => typeof each === "string");
  if (typeof words !== "string") return undefined;
  return vendorText(words, longestWords);
}
