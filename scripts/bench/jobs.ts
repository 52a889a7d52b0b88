/** Where the load generator sends; loopback only. */
export type Address = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** What the load generator can be asked, one job at a time, and what each job answers. */
export type Jobs = {
  calls: { ask: CallsJob; answer: CallsAnswer };
  pacedCalls: { ask: PacedCallsJob; answer: PacedCallsAnswer };
  firstEvents: { ask: FirstEventsJob; answer: FirstEventsAnswer };
  openStreams: { ask: Address & { readonly count: number }; answer: { readonly opened: number } };
  closeStreams: { ask: undefined; answer: { readonly closed: number } };
};
export type JobName = keyof Jobs;

type Sending = Address & {
  /** Sessions that take turns; without them the headers say who calls. */
  readonly bearers?: readonly string[];
  readonly body: string;
  /** What an answer's body holds when all went well. */
  readonly expects: string;
};

export type CallsJob = Sending & {
  readonly connections: number;
  readonly warmMillis: number;
  readonly measureMillis: number;
  /** The processes whose time is read at both ends of the measured window. */
  readonly pids: readonly number[];
};

export type CallsAnswer = {
  readonly callsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly processorMicrosPerCall: number | undefined;
  readonly failures: number;
  readonly firstFailure: string | undefined;
};

/** Calls that come when they come, whether or not the ones before have been answered. */
export type PacedCallsJob = Sending & {
  readonly perSecond: number;
  readonly measureMillis: number;
  /** The processes whose time is read from the first call to the last; none where it does not matter. */
  readonly pids?: readonly number[];
};

export type PacedCallsAnswer = {
  readonly calls: number;
  readonly p50Millis: number;
  readonly p99Millis: number;
  readonly longestMillis: number;
  readonly processorMicrosPerCall: number | undefined;
  readonly failures: number;
  readonly firstFailure: string | undefined;
};

export type FirstEventsJob = Address & { readonly samples: number; readonly limitMillis: number };
export type FirstEventsAnswer = { readonly p50Micros: number; readonly p99Micros: number };

export type JobMessage = { readonly job: JobName; readonly ask: unknown };
export type JobResult = { readonly answer: unknown } | { readonly error: string };
