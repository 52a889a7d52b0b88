import { createConsola } from "consola";
import { type Failure, asFailure } from "#src/failure.ts";
import { plain, redact } from "#src/telemetry/redact.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";

/** Talk goes to stderr, so that stdout holds results alone; colours only where somebody looks. */
const talk = createConsola({
  stdout: process.stderr,
  stderr: process.stderr,
  formatOptions: { colors: process.stderr.isTTY, date: false },
});

/** Somebody looks at a terminal, and is not waiting for mail from cron. */
export const isWatched: boolean = process.stderr.isTTY;

/** A result: what a script reads. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What a person is told on the way. */
export function tell(text: string): void {
  talk.log(redact(text));
}

/** What went wrong, with its code and a way out; as an object on stdout too, for whoever asked for JSON. */
export function tellFailure(error: unknown, isJson = false): Failure {
  const failure = asFailure(error);
  const { code, message } = failure;
  const { hint } = failure.details;
  const doc = `docs/errors.md#${code}`;
  const advice = hint === undefined ? "" : `\n  hint: ${hint}`;
  talk.error(redact(`${message}\n  code: ${code} (${doc})${advice}`));
  if (isJson) print(redact(JSON.stringify({ error: { code, message, hint, doc } })));
  if (code === "internal") talk.log(redact(JSON.stringify(errorFields(error))));
  return failure;
}

const firstMs = 1000;
const everyMs = 5000;

/** Says on a terminal, after a second and then every five, what is being waited for. */
export async function patiently<T>(what: () => string, work: Promise<T>): Promise<T> {
  if (!isWatched) return await work;
  let timer = setTimeout(say, firstMs);
  function say() {
    tell(`${what()} …`);
    timer = setTimeout(say, everyMs);
  }
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

const gap = "  ";
const leastLast = 20;

/** How wide the terminal is that a result goes to; a pipe or a file takes everything. */
function widthOfOutput(): number {
  return process.stdout.isTTY ? process.stdout.columns || 80 : Infinity;
}

/**
 * Rows under headings. The last column goes on in the next line where the terminal is not wide enough; no other loses
 * anything, for it may be an id.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows.map((row) => row.map(plain))];
  const widths = headings.map((_, at) => Math.max(...all.map((row) => (row[at] ?? "").length)));
  const last = widths.length - 1;
  const others = widths.slice(0, -1).reduce((sum, width) => sum + width + gap.length, 0);
  const room = Math.max(widthOfOutput() - others, leastLast);
  widths[last] = Math.min(widths[last] ?? 0, room);
  return all.flatMap((row) => linesOf(row, widths)).join("\n");
}

function linesOf(row: readonly string[], widths: readonly number[]): readonly string[] {
  const ends = wrapped(row[widths.length - 1] ?? "", widths.at(-1) ?? 0);
  return ends.map((end, at) => {
    const cells = widths
      .slice(0, -1)
      .map((width, cell) => (at === 0 ? (row[cell] ?? "") : "").padEnd(width));
    return [...cells, end].join(gap).trimEnd();
  });
}

/** Between words, where it can be. */
function wrapped(text: string, width: number): readonly string[] {
  if (text.length <= width) return [text];
  const space = text.lastIndexOf(" ", width);
  const end = space > 0 ? space : width;
  return [text.slice(0, end), ...wrapped(text.slice(end).trimStart(), width)];
}

/** Asks on the terminal; false where nobody can answer. */
export async function agrees(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !isWatched) return false;
  const options = { type: "confirm", initial: false, cancel: "undefined" } as const;
  return (await talk.prompt(question, options)) === true;
}
