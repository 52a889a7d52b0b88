import { redact } from "./redact.ts";

export const levels = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof levels)[number];
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** JSON lines. An event has a fixed name; what varies is in fields. */
export type Log = {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** Writes what is waiting. Call before the process ends. */
  flush(): void;
};

export type LogOptions = {
  readonly level: Level;
  readonly now: () => Date;
  readonly write: (text: string) => void;
};

const gatherMs = 20;
const mostWaiting = 10_000;

/** Lines are gathered for 20 ms, redacted and written at once; beyond 10,000 waiting lines the rest is counted. */
export function createLog(options: LogOptions): Log {
  const lowest = levels.indexOf(options.level);
  let waiting: string[] = [];
  let dropped = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  let moment = 0;
  let text = "";
  /** Many lines fall into one millisecond. */
  function time(): string {
    const now = options.now();
    if (now.getTime() === moment) return text;
    moment = now.getTime();
    text = now.toISOString();
    return text;
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (dropped > 0) waiting.push(JSON.stringify({ level: "warn", event: "log_dropped", dropped }));
    if (waiting.length > 0) options.write(redact(`${waiting.join("\n")}\n`));
    waiting = [];
    dropped = 0;
  }

  function line(level: Level) {
    if (levels.indexOf(level) < lowest) return () => undefined;
    return (event: string, fields?: Fields) => {
      if (waiting.length >= mostWaiting) {
        dropped += 1;
        return;
      }
      waiting.push(`{"at":"${time()}","level":"${level}","event":"${event}"${tail(fields)}`);
      timer ??= setTimeout(flush, gatherMs);
    };
  }

  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    flush,
  };
}

/** The rest of a line behind its fixed part. */
function tail(fields: Fields = {}): string {
  const json = JSON.stringify(fields);
  return json === "{}" ? "}" : `,${json.slice(1)}`;
}
