import { createConsola } from "consola";
import { asFailure, type Failure } from "#src/failure.ts";
import { redact } from "#src/telemetry/redact.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";

/** Talk goes to stderr, so that stdout holds results alone; colours only where somebody looks. */
const talk = createConsola({
  stdout: process.stderr,
  stderr: process.stderr,
  formatOptions: { colors: process.stderr.isTTY, date: false },
});

/** A result: what a script reads. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What a person is told on the way. */
export function tell(text: string): void {
  talk.log(redact(text));
}

/** What went wrong, with its code and a way out. */
export function tellFailure(error: unknown): Failure {
  const failure = asFailure(error);
  const { hint } = failure.details;
  talk.error(
    redact(
      `${failure.message}\n  code: ${failure.code}${hint === undefined ? "" : `\n  hint: ${hint}`}`,
    ),
  );
  if (failure.code === "internal") talk.log(redact(JSON.stringify(troubleOf(error))));
  return failure;
}
