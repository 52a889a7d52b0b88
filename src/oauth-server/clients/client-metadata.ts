const mostCharacters = 80;

/** A client's name as a page may show it: one line, no control or direction characters, not endless. */
export function shownName(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const line = value
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
  return line === "" ? undefined : Array.from(line).slice(0, mostCharacters).join("");
}
