/**
 * Text that somebody else wrote, as a person can trust it: what could turn its direction, move a cursor, look like
 * something else or cannot be seen, is shown by its code.
 */
export function plain(text: string): string {
  return text.replace(
    unplain,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

const unplain =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}|(?<=\p{M}{2})\p{M}/gu;
