import { readFileSync } from "node:fs";
import { type Registration, connectable } from "#src/accounts/registration.ts";
import type { App } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { aboutUnknown, unknownNames } from "#src/config/unknown-names.ts";
import { isLoopbackName } from "#src/http/address.ts";
import { type CheckResult, pass, problem, skipped } from "./result.ts";

type Deps = Pick<App, "config" | "catalog" | "publicUrl">;

/** Chapter 2: what providers are told about us. */
export function providersConfigured(app: Deps): readonly CheckResult[] {
  const all = connectable(app);
  if (all.length === 0) return [problem("provider_not_configured", "No provider has a client id")];
  return all.flatMap(registered);
}

function registered({ provider, redirectUri, usesPkce }: Registration): readonly CheckResult[] {
  const url = new URL(redirectUri);
  const isSafe = url.protocol === "https:" || isLoopbackName(url.hostname);
  const address = isSafe
    ? pass(2, "redirect_uri", `${provider.name} sends browsers back to ${redirectUri}`)
    : problem("redirect_uri_not_https", `${provider.name}: ${redirectUri}`);
  if (usesPkce || provider.pkce === "off") return [address];
  return [address, problem("pkce_off", `${provider.name} is configured without PKCE`)];
}

/** Chapter 9: a mistyped name is a setting that is not set. */
export function namesKnown(app: { readonly environment: Environment }): readonly CheckResult[] {
  const unknown = unknownNames(app.environment);
  if (unknown.length === 0) return [pass(9, "setting_names", "No name is almost a setting's")];
  return unknown.map((each) => problem("setting_unknown", aboutUnknown(each)));
}

/** Chapter 3: where browsers and agents come, and how long anybody waits. */
export function addressesSafe({ config, publicUrl }: Deps): readonly CheckResult[] {
  const { firstByteMs, totalMs, keepAliveMs } = config.upstreamLimits;
  const url = new URL(publicUrl);
  const isMissing = config.publicUrl === undefined && config.isProduction;
  return [
    ...(isMissing ? [problem("public_url_missing", "PUBLIC_URL is not set")] : []),
    !isMissing && url.protocol === "https:"
      ? pass(3, "public_url", `Browsers and agents come to ${publicUrl}`)
      : problem("public_url_not_https", `${publicUrl} is loopback, without TLS`),
    totalMs < firstByteMs
      ? problem(
          "timeouts_crossed",
          `A whole answer may take ${totalMs} ms, its first byte ${firstByteMs}`,
        )
      : pass(3, "timeouts", `Upstreams have ${firstByteMs} ms for a first byte, ${totalMs} in all`),
    keepAliveMs > longestSilenceMs
      ? problem("keepalive_slow", `Quiet streams get a comment every ${keepAliveMs} ms`)
      : pass(3, "keepalive", `Quiet streams get a comment every ${keepAliveMs} ms`),
  ];
}

const longestSilenceMs = 30_000;

/** Chapter 5: who hears of trouble. */
export function troubleHeard({ config }: Deps): readonly CheckResult[] {
  const { webhook, slack, discord, healthchecks } = config.alerting;
  const sinks = Object.entries({ webhook, slack, discord, healthchecks });
  const set = sinks.flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const isQuiet = config.logLevel === "warn" || config.logLevel === "error";
  return [
    set.length === 0
      ? problem("alerts_nowhere", "No sink for alerts is configured")
      : pass(5, "alert_sinks", `Alerts go to ${set.join(", ")}`),
    isQuiet
      ? problem("log_too_quiet", `LOG_LEVEL is ${config.logLevel}`)
      : pass(5, "log_level", `LOG_LEVEL is ${config.logLevel}`),
  ];
}

/** Chapter 7: who may come in. */
export function signUpClosed({ config }: Deps): readonly CheckResult[] {
  if (config.signUp !== "open") return [pass(7, "signup", "New people need an invitation")];
  return [problem("signup_open", "SMARTDASH_SIGNUP is open")];
}

const fewestDescriptors = 4096;

/** Chapter 8: of this process, which a unit's LimitNOFILE may differ from. */
export function descriptorsEnough(): readonly CheckResult[] {
  const most = descriptorLimit();
  if (most === undefined) return [skipped(8, "descriptors", "The limit cannot be read here")];
  const words = `A process may open ${most} files`;
  return [
    most < fewestDescriptors ? problem("descriptors_few", words) : pass(8, "descriptors", words),
  ];
}

function descriptorLimit(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
    if (soft === undefined) return undefined;
    return soft === "unlimited" ? Infinity : Number(soft);
  } catch {
    return undefined;
  }
}
