import type { ToolInvocation } from "#src/policy/plan.ts";
import type { Call } from "./message.ts";

/** Messages that change nothing, or nothing that a second one would change again. */
const reading = new Set([
  "initialize",
  "ping",
  "server/discover",
  "tools/list",
  "prompts/list",
  "prompts/get",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "completion/complete",
]);

/**
 * Whether a call may be sent once more when its connection was lost before anything of an answer came (RFC 9110
 * section 9.2.2): a tool only where its annotations say that it reads.
 */
export function isRepeatable(call: Call, tools: readonly ToolInvocation[]): boolean {
  if (call.httpMethod !== "POST") return true;
  // What a client answers or adds to a question of the server is taken once.
  if (call.rpcMethods.length === 0 || call.hasAnswers) return false;
  return (
    call.rpcMethods.every((each) => each === "tools/call" || reading.has(each)) &&
    tools.every(({ plan }) => plan.nature === "reading")
  );
}
