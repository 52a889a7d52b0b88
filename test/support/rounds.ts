/** `npm run test:long` looks longer: many rounds, every combination. The gate looks at a few. */
export const isLong = process.env["SMARTDASH_TEST_LONG"] === "1";

/** How often something is done: in the gate, and in the long run. */
export function rounds(gate: number, long: number): number {
  return isLong ? long : gate;
}
