import type { App } from "#src/app.ts";
import { type Admission, createAdmission } from "../admission/admission.ts";
import { type Credentials, createCredentials } from "../credential.ts";
import type { Journal } from "../journal/journal.ts";
import type { AtStep } from "./step.ts";

/** What a refresh leans on. */
export type Refreshing = Pick<
  App,
  | "db"
  | "seal"
  | "outbound"
  | "once"
  | "now"
  | "random"
  | "log"
  | "replica"
  | "catalog"
  | "config"
  | "publicUrl"
> &
  RefreshParts;

export type RefreshParts = {
  readonly credentials: Credentials;
  readonly journal: Journal;
  readonly admission: Admission;
  readonly atStep: AtStep;
};

export function createRefreshParts(
  app: App,
  journal: Journal,
  atStep: AtStep = () => undefined,
): RefreshParts {
  return { credentials: createCredentials(app), journal, admission: createAdmission(app), atStep };
}
