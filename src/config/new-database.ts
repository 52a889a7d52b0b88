import { hasDatabase } from "#db/home.ts";
import { Failure } from "#src/failure.ts";
import type { Config } from "./load.ts";

/**
 * A gateway that has lost its DATABASE_URL must not begin anew with an empty database.
 * Failures: `settings_invalid`.
 */
export function refuseUnaskedDatabase(
  config: Pick<Config, "home" | "publicUrl" | "mayMakeDatabase">,
): void {
  const isPublic = config.publicUrl?.startsWith("https:") === true;
  const mayMake = config.mayMakeDatabase ?? !isPublic;
  if (mayMake || hasDatabase(config.home)) return;
  const because =
    config.mayMakeDatabase === false ? "SMARTDASH_BUNDLED_DATABASE=off" : "an https PUBLIC_URL";
  throw new Failure(
    "settings_invalid",
    `DATABASE_URL is not set, and there is no database in ${config.home}: with ${because} a new one is not made unasked`,
    {
      hint: "Is the value in the environment file, and quoted? smartdash migrate --bundled makes a bundled database (SMARTDASH_BUNDLED_DATABASE=on allows it).",
    },
  );
}
