import type { Environment } from "#src/config/read.ts";
import type { SettingName } from "#src/config/settings.ts";

/** The one place that reads the process's environment. `.env` files are never read. */
export function environment(): Environment {
  // oxlint-disable-next-line node/no-process-env -- everything else gets it from here
  return { ...process.env };
}

/** An option in place of a setting. */
export function setEnvironment(name: SettingName, value: string): void {
  // oxlint-disable-next-line node/no-process-env -- as above
  process.env[name] = value;
}
