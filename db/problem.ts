type DatabaseProblemCode =
  | "home_in_use"
  | "home_unusable"
  | "bundled_database_failed"
  | "database_unavailable"
  | "database_refused"
  | "database_tls_failed"
  | "migration_changed";

/** A database that cannot be used, in words for an operator. `src/failure.ts` gives it its exit code. */
export class DatabaseProblem extends Error {
  readonly code: DatabaseProblemCode;
  readonly hint: string;

  constructor(code: DatabaseProblemCode, message: string, hint: string) {
    super(message);
    this.name = "DatabaseProblem";
    this.code = code;
    this.hint = hint;
  }
}
