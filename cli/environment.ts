import type { Environment } from "#src/config/read.ts";

/** The one place that reads the process's environment. `.env` files are never read. */
export function environment(): Environment {
  // oxlint-disable-next-line node/no-process-env -- everything else gets it from here
  return { ...process.env };
}
