import type { Environment } from "./read.ts";
import type { Setting } from "./setting.ts";
import { settings } from "./settings.ts";

/** A setting as this process was given it. */
export type GivenSetting = {
  readonly name: string;
  readonly isSet: boolean;
  /** Its value, where nothing in it could be a secret. */
  readonly shown: string | undefined;
  /** What holds where it is not set. */
  readonly preset: string | undefined;
};

/** Kinds whose values are numbers and words; an address may hold a password, a text anything. */
const plainKinds = new Set<Setting["kind"]>(["port", "count", "milliseconds", "flag", "choice"]);
const plainNames = new Set(["HOST", "PUBLIC_URL"]);

/** Every setting of the gateway, those that are set first. */
export function givenSettings(environment: Environment): readonly GivenSetting[] {
  return Object.entries<Setting>(settings)
    .map(([name, { kind, secret, default: preset }]) => {
      const value = environment[name]?.trim() ?? "";
      const isPlain = secret !== true && (plainKinds.has(kind) || plainNames.has(name));
      const isSet = value !== "";
      return { name, isSet, shown: isSet && isPlain ? value : undefined, preset };
    })
    .toSorted((one, other) => Number(other.isSet) - Number(one.isSet));
}
