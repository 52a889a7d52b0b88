import { existsSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "#src/failure.ts";
import type { Config } from "./load.ts";

/**
 * A gateway that is public and has lost its DATABASE_URL must not begin anew with an empty database.
 * Failures: `settings_invalid`.
 */
export function expectNewDatabase(
  config: Pick<Config, "home" | "publicUrl" | "allowsNewDatabase">,
): void {
  const isPublic = config.publicUrl?.startsWith("https:") === true;
  if (!isPublic || config.allowsNewDatabase || existsSync(join(config.home, "data"))) return;
  throw new Failure(
    "settings_invalid",
    `DATABASE_URL is not set, and there is no database in ${config.home}: with an https PUBLIC_URL a new one is not made unasked`,
    {
      hint: "Is the value in the environment file quoted? smartdash migrate --bundled makes a bundled database (SMARTDASH_BUNDLED_DATABASE=on allows it).",
    },
  );
}
