import { setTimeout as sleep } from "node:timers/promises";

/** What a token endpoint may do instead of its work, once. `after` faults come after the token was used up. */
export type Fault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: unknown;
      readonly retryAfter?: number;
    }
  | { readonly kind: "plain"; readonly status: number; readonly text: string }
  | { readonly kind: "firewall_page" }
  | { readonly kind: "truncated" }
  | { readonly kind: "slow"; readonly ms: number }
  | { readonly kind: "hang" }
  | { readonly kind: "no_expires_in" };

const longestHangMs = 60_000;

/** The answer that a fault gives in place of the real one; undefined when it only delays or spoils it. */
export async function answerOf(fault: Fault | undefined): Promise<Response | undefined> {
  if (fault?.kind === "slow") await sleep(fault.ms);
  if (fault?.kind === "hang") await sleep(longestHangMs, undefined, { ref: false });
  return fault === undefined ? undefined : insteadOf(fault);
}

function insteadOf(fault: Fault): Response | undefined {
  if (fault.kind === "hang") return new Response(null, { status: 504 });
  if (fault.kind === "plain") return new Response(fault.text, { status: fault.status });
  if (fault.kind === "firewall_page") return firewallPage();
  return fault.kind === "status" ? errorAnswer(fault) : undefined;
}

function firewallPage(): Response {
  const headers = { "content-type": "text/html" };
  return new Response("<html><title>Request blocked</title></html>", { status: 403, headers });
}

function errorAnswer({ status, body, retryAfter }: Extract<Fault, { kind: "status" }>): Response {
  const headers = new Headers();
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  return Response.json(body ?? { message: "down", error: "down", status }, { status, headers });
}
