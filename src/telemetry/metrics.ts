import type { Level } from "./log.ts";

/** What is counted in this process, in Prometheus' text format. No label ever names an account, a person or an agent. */
export type Metrics = {
  /** Whether anybody can ask; otherwise nothing is counted. */
  readonly isRead: boolean;
  /** One proxied exchange. `seconds` until its answer began. */
  call(
    labels: { upstream: string; method: string | undefined; status: number },
    seconds: number,
  ): void;
  /** A guard answered in place of the upstream; `code` as in docs/errors.md. */
  guardRefusal(upstream: string, code: string): void;
  /** One question at a provider's token endpoint; `outcome` is `success` or the provider's own word. */
  refresh(provider: string, outcome: string, seconds: number): void;
  line(level: Level, event: string): void;
  /** A number that is read when somebody asks. Failures of `read` leave the last values. */
  gauge(
    name: string,
    help: string,
    read: () => Promise<readonly Sample[]> | readonly Sample[],
  ): void;
  text(): Promise<string>;
  readonly contentType: string;
};

export type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number };

const nothing = () => undefined;

/** Where nobody can read metrics nothing is counted, and the library for it is not loaded. */
export const unreadMetrics: Metrics = {
  isRead: false,
  call: nothing,
  guardRefusal: nothing,
  refresh: nothing,
  line: nothing,
  gauge: nothing,
  text: () => Promise.resolve(""),
  contentType: "text/plain",
};
