// The build replaces these names by texts; run from source they do not exist.
declare const SMARTDASH_VERSION: string;
declare const SMARTDASH_REVISION: string;

/** What this binary is. */
export const version = {
  number: typeof SMARTDASH_VERSION === "string" ? SMARTDASH_VERSION : "0.0.0-source",
  revision: typeof SMARTDASH_REVISION === "string" ? SMARTDASH_REVISION : "source",
} as const;
