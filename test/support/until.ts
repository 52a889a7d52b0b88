const limitMs = 30_000;
const everyMs = 10;

type Look<T> = () => T | Promise<T>;

/**
 * What `look` finds, as soon as it is something (not undefined, null or false); fails when that takes 30 seconds.
 * @param what For the error: what was waited for, or a function that says how it stands.
 */
export async function until<T>(
  look: Look<T>,
  what: string | (() => string) = "what was waited for",
  mostMs = limitMs,
): Promise<NonNullable<T>> {
  const end = performance.now() + mostMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > end) {
      throw new Error(`not within ${mostMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await Bun.sleep(everyMs);
  }
}
