import * as fc from "fast-check";

const variable = "SMARTDASH_TEST_SEED";

/** One for the whole run, so that every property of it can be tried again as it was. */
const seed = seedFrom(process.env[variable]);

/**
 * Tries a property with so many generated cases. They are others in every run, unless SMARTDASH_TEST_SEED says which;
 * a failure names its seed, and how to run it again.
 */
export function check<T>(
  property: fc.IAsyncProperty<T>,
  options: { readonly cases: number },
): Promise<void>;
export function check<T>(property: fc.IProperty<T>, options: { readonly cases: number }): void;
export function check<T>(
  property: fc.IRawProperty<T>,
  { cases }: { readonly cases: number },
): Promise<void> | void {
  const parameters = { numRuns: cases, seed, includeErrorInReport: true, reporter: report };
  return fc.assert<T>(property, parameters);
}

/** Any characters there are, also half a surrogate pair; a few. */
export const anyText: fc.Arbitrary<string> = fc.string({
  unit: fc
    .oneof(
      fc.integer({ min: 0, max: 0x7f }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0xd7f0, max: 0xe010 }),
    )
    .map((code) => String.fromCharCode(code)),
  maxLength: 6,
});

/** How a stream of bytes may be cut: sizes that are taken in turn. */
export const pieceSizes: fc.Arbitrary<readonly number[]> = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 })),
  { minLength: 1, maxLength: 8 },
);

/** All of `bytes`, in pieces of these sizes. */
export function inPieces(
  bytes: Uint8Array,
  sizes: readonly number[],
): readonly Uint8Array<ArrayBuffer>[] {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + (sizes[pieces.length % sizes.length] ?? 1);
    pieces.push(Uint8Array.from(bytes.subarray(at, end)));
    at = end;
  }
  return pieces;
}

function report<T>(details: fc.RunDetails<T>): void {
  if (!details.failed) return;
  const again = `Run it again with: ${variable}=${details.seed} bun test <file>`;
  throw new Error(`${fc.defaultReportMessage(details) ?? "The property failed"}\n\n${again}`, {
    cause: details.errorInstance,
  });
}

function seedFrom(text: string | undefined): number {
  if (text === undefined || text === "") return Math.floor(Math.random() * 2 ** 31);
  const asked = Number(text);
  if (!Number.isInteger(asked)) throw new Error(`${variable} must be a whole number`);
  return asked;
}

/** Whether two values of JSON are the same. Not `Bun.deepEquals`, for which `{"__proto__":{}}` and `{"":null}` are the same. */
export function isSameJson(left: unknown, right: unknown): boolean {
  if (!isContainer(left) || !isContainer(right)) return left === right;
  const [names, others] = [Object.keys(left), Object.keys(right)];
  return (
    Array.isArray(left) === Array.isArray(right) &&
    names.length === others.length &&
    names.every((name) => Object.hasOwn(right, name) && isSameJson(left[name], right[name]))
  );
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
