/** Where the load generator sends; loopback only. */
export type Address = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** What the load generator can be asked, one job at a time, and what each job answers. */
export type Jobs = {
  calls: { ask: CallsJob; answer: CallsAnswer };
  firstEvents: { ask: FirstEventsJob; answer: FirstEventsAnswer };
  openStreams: { ask: Address & { readonly count: number }; answer: { readonly opened: number } };
  closeStreams: { ask: undefined; answer: { readonly closed: number } };
};
export type JobName = keyof Jobs;

export type CallsJob = Address & {
  readonly body: string;
  /** What an answer's body holds when all went well. */
  readonly expects: string;
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

export type FirstEventsJob = Address & { readonly samples: number; readonly limitMillis: number };
export type FirstEventsAnswer = { readonly p50Micros: number; readonly p99Micros: number };

export type JobMessage = { readonly job: JobName; readonly ask: unknown };
export type JobResult = { readonly answer: unknown } | { readonly error: string };
