import { redact } from "#src/telemetry/redact.ts";

/**
 * What an API says, as a model may see it: a stranger's text, without markup, secrets, mail addresses and telephone
 * numbers, and at most `most` characters long. Costs no more than its length: four times `most` is looked at.
 */
export function vendorText(text: string, most: number): string {
  // More is looked at than is kept: a secret that is cut could not be known for one.
  const plain = text.slice(0, 4 * most).replace(/<[^<>]{0,200}>/g, " ");
  return redact(plain)
    .replace(/[^\s@"'<>%&]{1,64}(?:@|%40|&#0?64;|&commat;)[^\s@"'<>]{1,100}/gi, "…")
    .replace(/\+?\(?\d(?:[ ().-]{0,2}\d){7,16}/g, "…")
    .slice(0, most)
    .toWellFormed();
}
