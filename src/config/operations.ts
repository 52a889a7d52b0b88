import type { Secret } from "#src/crypto/secret.ts";
import { isLoopbackName } from "#src/http/address.ts";
import { type Reader, isHeaderName } from "./read.ts";
import type { SettingName } from "./settings.ts";

/** What is measured, told and kept for the operator. */
export type OperationsConfig = {
  readonly metrics: { readonly token: Secret | undefined; readonly port: number | undefined };
  readonly tracing: {
    readonly endpoint: string | undefined;
    /** `name=value`, separated by commas. */
    readonly headers: Secret | undefined;
    readonly serviceName: string;
  };
  readonly alerting: {
    readonly webhook: Secret | undefined;
    readonly webhookSecret: Secret | undefined;
    readonly slack: Secret | undefined;
    readonly discord: Secret | undefined;
    readonly healthchecks: Secret | undefined;
    readonly cooldownMs: number;
  };
  readonly retention: {
    readonly callsDays: number;
    readonly eventsDays: number;
    readonly revokedDays: number;
  };
  /** The former system that `smartdash import back4app` reads. */
  readonly parse: {
    readonly url: string;
    readonly appId: string | undefined;
    readonly masterKey: Secret | undefined;
    readonly fernetKeys: readonly Uint8Array[];
  };
  /** Touched by the backup job. */
  readonly backupStamp: string | undefined;
};

const [leastToken, leastSecret] = [16, 24];

export function operationsFrom(read: Reader): OperationsConfig {
  const webhook = addressIn(read, "ALERT_WEBHOOK_URL");
  const webhookSecret = longEnough(read, "ALERT_WEBHOOK_SECRET", leastSecret);
  if (webhook !== undefined && webhookSecret === undefined) {
    const message = "is required with ALERT_WEBHOOK_URL: whoever receives alerts checks it";
    read.problems.push({ setting: "ALERT_WEBHOOK_SECRET", message });
  }
  const traceHeaders = read.secret("OTEL_EXPORTER_OTLP_HEADERS");
  if (traceHeaders !== undefined) addressIn(read, "OTEL_EXPORTER_OTLP_ENDPOINT");
  const pairs = (traceHeaders?.reveal() ?? "").split(",").filter((pair) => pair.trim() !== "");
  if (!pairs.every((pair) => pair.includes("=") && isHeaderName(pair.split("=")[0]?.trim()))) {
    const message = "must be headers, such as authorization=Bearer%20TOKEN,x-team=shop";
    read.problems.push({ setting: "OTEL_EXPORTER_OTLP_HEADERS", message });
  }
  return {
    metrics: {
      token: longEnough(read, "METRICS_TOKEN", leastToken),
      port: read.optionalNumber("METRICS_PORT"),
    },
    tracing: {
      endpoint: read.url("OTEL_EXPORTER_OTLP_ENDPOINT"),
      headers: traceHeaders,
      serviceName: read.text("OTEL_SERVICE_NAME") ?? "",
    },
    alerting: {
      webhook,
      webhookSecret,
      slack: addressIn(read, "ALERT_SLACK_URL"),
      discord: addressIn(read, "ALERT_DISCORD_URL"),
      healthchecks: addressIn(read, "ALERT_HEALTHCHECKS_URL"),
      cooldownMs: read.number("ALERT_COOLDOWN_MS"),
    },
    retention: {
      callsDays: read.number("SMARTDASH_KEEP_CALLS_DAYS"),
      eventsDays: read.number("SMARTDASH_KEEP_EVENTS_DAYS"),
      revokedDays: read.number("SMARTDASH_KEEP_REVOKED_DAYS"),
    },
    parse: {
      url: addressIn(read, "PARSE_SERVER_URL")?.reveal() ?? "",
      appId: read.text("PARSE_APP_ID"),
      masterKey: read.secret("PARSE_MASTER_KEY"),
      fernetKeys: read.keys("PARSE_FERNET_KEYS"),
    },
    backupStamp: read.text("SMARTDASH_BACKUP_STAMP"),
  };
}

/** Whoever knows such an address may write there: it is a secret, and travels encrypted. */
function addressIn(read: Reader, name: SettingName): Secret | undefined {
  const text = read.url(name);
  if (text === undefined) return undefined;
  const { protocol, hostname } = new URL(text);
  if (protocol !== "https:" && !isLoopbackName(hostname)) {
    read.problems.push({ setting: name, message: "must be https (http is for loopback only)" });
  }
  return read.secret(name);
}

function longEnough(read: Reader, name: SettingName, least: number): Secret | undefined {
  const secret = read.secret(name);
  if (secret !== undefined && secret.reveal().length < least) {
    read.problems.push({ setting: name, message: `must have ${least} characters or more` });
  }
  return secret;
}
