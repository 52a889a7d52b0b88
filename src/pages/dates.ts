import type { Language } from "#src/http/language.ts";
import { say } from "./words.ts";

/** A day has so many milliseconds; days are those of UTC. */
export const dayMs = 86_400_000;

/** `2026-11-30`. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/** The first moment of a day from 1970 on that is written like `2026-11-30`; undefined for what is none. */
export function dayIn(text: string): Date | undefined {
  const day = new Date(`${text}T00:00:00Z`);
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text) && day.getTime() >= 0;
  return isDay && dayOf(day) === text ? day : undefined;
}

/** A day, as people write it. */
export function dateIn(language: Language, date: Date): string {
  return date.toLocaleDateString(language, { dateStyle: "medium", timeZone: "UTC" });
}

/** The last day on which something holds that ends at this moment. */
export function lastDay(language: Language, end: Date): string {
  return say(language, "until", { date: dateIn(language, new Date(end.getTime() - 1)) });
}

/** A moment for whoever wants to know it exactly. */
export function exactly(at: Date): string {
  return `${at.toISOString().slice(0, 23).replace("T", " ")} UTC`;
}
