/**
 * Text that an agent or an upstream wrote, as a person can trust it: what could turn its direction, or cannot be seen, is shown by
 * its code.
 */
export function plain(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** JSON over several lines, plain, every token as it was written: numbers are not read. */
export function laidOut(json: string): string {
  const visible = plain(json);
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return visible.replace(/"(?:[^"\\]|\\.)*"|\{\}|\[\]|[{}[\],:]/g, (token) => {
    if (token === "{" || token === "[") {
      depth += 1;
      return token + line();
    }
    if (token === "}" || token === "]") {
      depth -= 1;
      return line() + token;
    }
    if (token === ",") return token + line();
    return token === ":" ? ": " : token;
  });
}
