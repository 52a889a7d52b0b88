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
  | { readonly kind: "no_expires_in" }
  /** The token was used up, and the answer says so in fields that are not what they should be. */
  | { readonly kind: "odd_fields"; readonly fields: Readonly<Record<string, unknown>> }
  /** The token was used up, and the answer never comes. */
  | { readonly kind: "swallowed" }
  /** The whole answer, a few bytes at a time. */
  | { readonly kind: "drip"; readonly ms: number }
  | { readonly kind: "date"; readonly aheadMs: number };

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

/** What a fault puts over the fields of a real answer. */
export function oddFields(fault: Fault | undefined): Readonly<Record<string, unknown>> {
  return fault?.kind === "odd_fields" ? fault.fields : {};
}

/** A real answer as a fault lets it through. */
export async function spoilt(
  text: string,
  fault: Fault | undefined,
  now: () => number,
): Promise<Response> {
  const headers = new Headers({ "content-type": "application/json", "cache-control": "no-store" });
  if (fault?.kind === "date") headers.set("date", new Date(now() + fault.aheadMs).toUTCString());
  if (fault?.kind === "swallowed") await sleep(longestHangMs, undefined, { ref: false });
  if (fault?.kind === "truncated") return new Response(text.slice(0, 40), { headers });
  return new Response(fault?.kind === "drip" ? dripping(text, fault.ms) : text, { headers });
}

const dripBytes = 16;

function dripping(text: string, ms: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await sleep(ms);
      controller.enqueue(bytes.subarray(at, at + dripBytes));
      at += dripBytes;
      if (at >= bytes.length) controller.close();
    },
  });
}
