import type { Log } from "#src/telemetry/log.ts";

/** The last lines of this process's log, as they were written: redacted. */
export type LogTail = { lines(level: string | undefined): readonly string[] };

const mostLines = 500;
const longestLine = 2000;

export function createLogTail(log: Pick<Log, "watch">): LogTail {
  let lines: string[] = [];
  log.watch((text) => {
    const fresh = text.trimEnd().split("\n");
    lines = [...lines, ...fresh.map((line) => line.slice(0, longestLine))].slice(-mostLines);
  });
  return {
    lines: (level) =>
      level === undefined
        ? lines
        : lines.filter(
            (line) => line.includes(`"level":"${level}"`) || line.includes(` ${level} `),
          ),
  };
}
