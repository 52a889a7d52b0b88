export const languages = ["es", "pt", "en"] as const;
export type Language = (typeof languages)[number];

/** The language a page speaks, from `Accept-Language` (RFC 9110 section 12.5.4); English when none fits. */
export function languageOf(request: Request): Language {
  const wanted = (request.headers.get("accept-language") ?? "").split(",").map((part) => {
    const [tag = "", ...parameters] = part.trim().toLowerCase().split(";");
    const quality = parameters
      .map((parameter) => /^\s*q=([\d.]+)$/.exec(parameter)?.[1])
      .find(Boolean);
    return { tag, quality: quality === undefined ? 1 : Number(quality) };
  });
  for (const { tag, quality } of wanted.toSorted((a, b) => b.quality - a.quality)) {
    const found = languages.find((language) => tag === language || tag.startsWith(`${language}-`));
    if (found !== undefined && quality > 0) return found;
  }
  return "en";
}
