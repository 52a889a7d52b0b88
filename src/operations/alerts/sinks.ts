import { createHmac } from "node:crypto";
import type { App } from "#src/app.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { OutsideTrouble, createOutbound } from "#src/http/fetch-exchange.ts";
import { redact } from "#src/telemetry/redact.ts";

/** What an operator is told. Names no account and holds no secret. */
export type AlertMessage = {
  readonly id: string;
  readonly state: "firing" | "resolved" | "test";
  readonly kind: string;
  readonly subject: string;
  readonly summary: string;
  readonly at: Date;
  /** Which gateway says it. */
  readonly gateway: string;
};

/** Whether a sink has taken a message, and what it answered instead. */
export type Delivery = { readonly isTaken: boolean; readonly reason: string };

export type Sink = {
  readonly name: string;
  deliver(message: AlertMessage): Promise<Delivery>;
};

type Deps = Pick<App, "outbound" | "config">;

/** The sinks that are configured, beside the log. */
export function sinksOf({ config }: Pick<Deps, "config">): readonly Sink[] {
  const app = { config, outbound: createOutbound(limitMs) };
  const { webhook, webhookSecret, slack, discord, healthchecks } = app.config.alerting;
  return [
    ...sink("webhook", webhook, (url, message) => signed(app, url, { message, webhookSecret })),
    ...sink("slack", slack, (url, message) => post(app, url, { text: wordsFor(message) })),
    ...sink("discord", discord, (url, message) => {
      const content = wordsFor(message).slice(0, mostDiscord);
      return post(app, url, { content, allowed_mentions: { parse: [] } });
    }),
    ...sink("healthchecks", healthchecks, (url, message) => ping(app, url, message)),
  ];
}

const mostDiscord = 1900;
/** Shorter than a provider may take: whoever evaluates alerts for all does not wait for one sink. */
const limitMs = 5000;

function sink(
  name: string,
  url: Secret | undefined,
  deliver: (url: string, message: AlertMessage) => Promise<Delivery>,
): readonly Sink[] {
  if (url === undefined) return [];
  return [{ name, deliver: (message) => deliver(url.reveal(), message) }];
}

const marks = { firing: "FIRING", resolved: "RESOLVED", test: "TEST" } as const;

function wordsFor({ state, summary, kind, gateway }: AlertMessage): string {
  return redact(`[${marks[state]}] ${gateway}: ${summary} (docs/runbook.md#alert-${kind})`);
}

/** Standard Webhooks: id, timestamp and body are signed together with HMAC-SHA256. */
function signed(
  app: Deps,
  url: string,
  { message, webhookSecret }: { message: AlertMessage; webhookSecret: Secret | undefined },
): Promise<Delivery> {
  const { id, state, at, ...data } = message;
  const body = redact(
    JSON.stringify({
      type: `alert.${state}`,
      timestamp: at.toISOString(),
      data: { ...data, state, runbook: `docs/runbook.md#alert-${data.kind}` },
    }),
  );
  const seconds = String(Math.floor(at.getTime() / 1000));
  const signature = createHmac("sha256", keyOf(webhookSecret?.reveal() ?? ""))
    .update(`${id}.${seconds}.${body}`)
    .digest("base64");
  return postText(app, url, {
    body,
    headers: {
      "webhook-id": id,
      "webhook-timestamp": seconds,
      "webhook-signature": `v1,${signature}`,
    },
  });
}

function keyOf(secret: string): Uint8Array {
  const encoded = /^whsec_(.+)$/.exec(secret)?.[1];
  return encoded === undefined ? Buffer.from(secret) : Buffer.from(encoded, "base64");
}

/** What is over is told by the pings that begin again. */
function ping(app: Deps, url: string, message: AlertMessage): Promise<Delivery> {
  if (message.state === "resolved") return Promise.resolve({ isTaken: true, reason: "nothing" });
  const address = `${url.replace(/(?<!\/)\/+$/, "")}${message.state === "test" ? "/log" : "/fail"}`;
  return postText(app, address, {
    body: wordsFor(message),
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

function post(app: Deps, url: string, body: object): Promise<Delivery> {
  return postText(app, url, { body: redact(JSON.stringify(body)), headers: {} });
}

async function postText(
  app: Deps,
  url: string,
  { body, headers }: { body: string; headers: Readonly<Record<string, string>> },
): Promise<Delivery> {
  try {
    const answer = await app.outbound(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    const isTaken = answer.status >= 200 && answer.status < 300;
    return { isTaken, reason: `HTTP ${answer.status}` };
  } catch (error) {
    return { isTaken: false, reason: error instanceof OutsideTrouble ? error.reason : "broken" };
  }
}
