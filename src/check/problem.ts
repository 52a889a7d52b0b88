import type { Chapter } from "./chapters.ts";

export type Problem = {
  readonly chapter: Chapter;
  /** `fail`: do not deploy. */
  readonly status: "fail" | "warn";
  readonly remedy: string;
};
