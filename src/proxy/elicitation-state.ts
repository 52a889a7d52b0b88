import { isObject, parseExactly } from "#src/json.ts";
import { statePrefix } from "#src/policy/approvals/approval.ts";

/** Our own questions to a modern client (see `elicitation-response.ts`); their answers are not for the upstream. */
export const ownQuestions = {
  reconnect: "smartdash/reconnect",
  approve: "smartdash/approve",
} as const;

type Message = Readonly<Record<string, unknown>>;
type Exact = Message & { readonly params: Message };

const decoder = new TextDecoder("utf-8", { fatal: true });
const names: readonly string[] = Object.values(ownQuestions);

/** The message without what answers our own questions; undefined when there is nothing of it. */
export function withoutOwnAnswer(
  message: Message,
  body: Uint8Array,
): Uint8Array<ArrayBuffer> | undefined {
  if (!hasOwn(message)) return undefined;
  const exact = parseExactly(decoder.decode(body));
  if (!hasOwn(exact)) return undefined;
  const params = withoutOwn(exact.params);
  return new TextEncoder().encode(JSON.stringify({ ...exact, params }));
}

/** The parameters of a call without what answers our own questions. */
export function withoutOwn({ inputResponses, requestState, ...rest }: Message): Message {
  const responses = isObject(inputResponses)
    ? Object.fromEntries(Object.entries(inputResponses).filter(([name]) => !names.includes(name)))
    : inputResponses;
  const isEmpty = isObject(responses) && Object.keys(responses).length === 0;
  return {
    ...rest,
    ...(responses === undefined || isEmpty ? {} : { inputResponses: responses }),
    ...(requestState === undefined || isOwnState(requestState) ? {} : { requestState }),
  };
}

/** Whether a state came with our own question. */
export function isOwnState(value: unknown): value is string {
  return typeof value === "string" && value.startsWith(statePrefix);
}

function hasOwn(message: unknown): message is Exact {
  const parameters = isObject(message) ? message["params"] : undefined;
  if (!isObject(parameters)) return false;
  const answers = parameters["inputResponses"];
  const isAnswered = isObject(answers) && names.some((name) => Object.hasOwn(answers, name));
  return isAnswered || isOwnState(parameters["requestState"]);
}
