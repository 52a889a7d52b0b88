type SettingKind =
  | "text"
  | "url"
  | "port"
  | "count"
  | "milliseconds"
  | "flag"
  | "choice"
  | "keys"
  | "list"
  | "json";

export type Setting = {
  readonly kind: SettingKind;
  /** As it would be written in the environment; undefined means "not set". */
  readonly default?: string;
  readonly doc: string;
  /** Never shown, not even when it is wrong. */
  readonly secret?: true;
  readonly choices?: readonly string[];
};
