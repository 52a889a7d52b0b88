import { plain, redact } from "./redact.ts";

export const levels = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof levels)[number];
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** JSON lines. An event has a fixed name; what varies is in fields. */
export type Log = {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /**
   * The same for a line that is redacted and encoded already: those for calls and tokens. `members`: of a JSON object,
   * without its braces. `at`: when it was, in milliseconds.
   */
  redacted(level: Level, event: string, members: string, at: number): void;
  /**
   * A condition that may last: a warning when it begins, and once a minute while it is reported again, with how often
   * it was. `over` says when it has ended; nothing where it had not begun. Five minutes without a report end it too.
   */
  lasting(event: string, fields?: Fields): void;
  over(event: string, fields?: Fields): void;
  /** What is said whatever the level. */
  announce(event: string, fields?: Fields): void;
  /** Hands every piece that is written, redacted, to a listener too. */
  watch(listener: (text: string) => void): void;
  /** Writes what is waiting. Call before the process ends. */
  flush(): void;
};

type LogOptions = {
  readonly level: Level;
  /** For people at a terminal; otherwise JSON lines. */
  readonly isPretty?: boolean;
  /** Hears of every line, also of those below `level`. */
  readonly count?: ((level: Level, event: string) => void) | undefined;
  readonly now: () => Date;
  readonly write: Write;
};

/** A burst is written as it comes: what waits outlives a young collection of the heap (decision 0029). */
const [gatherMs, mostWaiting] = [20, 64];

/** Lines are redacted, and written when there are 64, or after 20 ms; what nobody takes is counted. */
export function createLog(options: LogOptions): Log {
  const lowest = levels.indexOf(options.level);
  const lineOf = createLineOf(options);
  const { add, flush, watch } = gatherLines(options, (dropped) => {
    options.count?.("warn", "log_dropped");
    return lineOf("warn", "log_dropped", membersOf({ dropped }));
  });

  const print = (level: Level, event: string, fields: Fields = {}) =>
    add(redact(lineOf(level, event, membersOf(fields))));

  function isTold(level: Level, event: string): boolean {
    options.count?.(level, event);
    return levels.indexOf(level) >= lowest;
  }

  const line = (level: Level) => (event: string, fields?: Fields) => {
    if (isTold(level, event)) print(level, event, fields);
  };

  const [warn, info] = [line("warn"), line("info")];
  const lasting = createLasting({ warn, info, now: options.now });
  return {
    debug: line("debug"),
    info,
    warn,
    error: line("error"),
    redacted(level, event, members, at) {
      if (isTold(level, event)) add(lineOf(level, event, members, at));
    },
    ...lasting,
    announce: (event, fields) => print("info", event, fields),
    watch,
    flush,
  };
}

/** How a line is written: `members` of a JSON object, without its braces. */
function createLineOf({ isPretty, now }: LogOptions) {
  const time = createTime(now);
  return (level: Level, event: string, members: string, at?: number): string => {
    if (isPretty === true) return prettyLine(time(at), `${level.padEnd(5)} ${event}`, members);
    const rest = members === "" ? "" : `,${members}`;
    return `{"time":"${time(at)}","level":"${level}","event":"${event}"${rest}}`;
  };
}

/** @param lineOfDropped The line that says how many were dropped. */
function gatherLines(options: LogOptions, lineOfDropped: (dropped: number) => string) {
  let waiting: string[] = [];
  let dropped = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let hear: ((text: string) => void) | undefined;

  function write(): void {
    const lines = waiting;
    const count = lines.length;
    if (dropped > 0) lines.push(lineOfDropped(dropped));
    if (lines.length === 0) return;
    // Whoever hears of them may say something, and a writer may fail.
    waiting = [];
    const text = `${lines.join("\n")}\n`;
    hear?.(text);
    dropped = options.write(text) ? 0 : dropped + count;
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    write();
  }

  function add(line: string): void {
    if (waiting.push(line) >= mostWaiting) write();
    else timer ??= setTimeout(flush, gatherMs);
  }

  return { add, flush, watch: (listener: (text: string) => void) => void (hear = listener) };
}

const [againMs, forgottenMs, mostLasting] = [60_000, 5 * 60_000, 100];

function createLasting({ warn, info, now }: Pick<Log, "warn" | "info"> & Pick<LogOptions, "now">) {
  const all = new Map<
    string,
    { readonly since: number; lastAt: number; toldAt: number; times: number }
  >();
  return {
    lasting(event: string, fields?: Fields): void {
      const at = now().getTime();
      const known = all.get(event);
      if (known === undefined || at - known.lastAt > forgottenMs) {
        const begun = { since: at, lastAt: at, toldAt: at, times: 1 };
        if (known !== undefined || all.size < mostLasting) all.set(event, begun);
        warn(event, fields);
        return;
      }
      known.times += 1;
      known.lastAt = at;
      if (at - known.toldAt < againMs) return;
      known.toldAt = at;
      const seconds = Math.round((at - known.since) / 1000);
      warn(event, { ...fields, times: known.times, seconds });
    },
    over(event: string, fields?: Fields): void {
      const known = all.get(event);
      if (known === undefined) return;
      all.delete(event);
      const seconds = Math.round((now().getTime() - known.since) / 1000);
      info("condition_over", { ...fields, condition: event, times: known.times, seconds });
    },
  };
}

/** Many lines fall into one millisecond. */
function createTime(clock: () => Date): (at?: number) => string {
  let moment = 0;
  let text = "";
  return (at = clock().getTime()) => {
    if (at === moment) return text;
    moment = at;
    text = new Date(at).toISOString();
    return text;
  };
}

/** The members of a JSON object, without its braces. */
export function membersOf(fields: Fields): string {
  return JSON.stringify(fields).slice(1, -1);
}

/** Time of day, what happened, and what is known about it. */
function prettyLine(time: string, what: string, members: string): string {
  const facts: object = JSON.parse(`{${members}}`);
  const text = Object.entries(facts)
    .map(([name, value]) => `${name}=${plain(String(value))}`)
    .join(" ");
  return `${time.slice(11, 19)} ${what} ${text}`.trimEnd();
}

/** Takes text for a log; false when nobody reads and it was dropped. */
export type Write = (text: string) => boolean;

type Output = Pick<NodeJS.WriteStream, "write" | "on">;

const mostUnread = 8 * 1024 * 1024;

/** Writes to a stream that nobody may be reading: 8 MiB wait at most, and a reader that has gone ends nothing. */
export function boundedWriter(output: () => Output): Write {
  let unread = 0;
  let isWatched = false;
  return (text) => {
    const stream = output();
    if (!isWatched) {
      isWatched = true;
      stream.on("drain", () => {
        unread = 0;
      });
      stream.on("error", () => {
        unread = Infinity;
      });
    }
    if (unread > mostUnread) return false;
    if (!stream.write(text)) unread += text.length;
    return true;
  };
}
