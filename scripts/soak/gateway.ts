import { existsSync } from "node:fs";
import { join } from "node:path";
import { announcedUrl } from "../bench/gateway.ts";
import { own } from "../bench/owned.ts";
import type { Stop } from "../bench/owned.ts";

export type GatewayProcess = {
  readonly url: string;
  readonly pid: number;
  readonly program: "dist/smartdash" | "source";
  /** How often the log said each event of level `warn` or `error`. */
  readonly complaints: ReadonlyMap<string, number>;
  hasEnded(): boolean;
  /** Resolves with whether it went in order. */
  stop(): Promise<boolean>;
};

const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/smartdash");
const patienceMillis = 30_000;

/** Starts the compiled gateway, or the one in the source where there is none, with these settings. */
export async function startGatewayProcess(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<GatewayProcess> {
  const isCompiled = existsSync(binary);
  const program = isCompiled ? [binary] : [process.execPath, join(root, "cli/main.ts")];
  const child = Bun.spawn([...program, "serve"], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let isInOrder = false;
  const stop: Stop = own(async () => {
    child.kill("SIGTERM");
    const impatience = setTimeout(() => child.kill("SIGKILL"), patienceMillis);
    isInOrder = (await child.exited) === 0;
    clearTimeout(impatience);
  });
  const complaints = countComplaints(child.stderr);
  return {
    url: await announcedUrl(child.stdout),
    pid: child.pid,
    program: isCompiled ? "dist/smartdash" : "source",
    complaints,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stop: async () => {
      await stop();
      return isInOrder;
    },
  };
}

const complaint = /"level":"(?:warn|error)","event":"(\w+)"(.*)/;

function countComplaints(output: ReadableStream<Uint8Array>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const note = (line: string) => {
    const [, event, rest = ""] = complaint.exec(line) ?? [];
    if (event === undefined) return;
    const failure = /"failure":"(\w+)"/.exec(rest)?.[1];
    const name = failure === undefined ? event : `${event} ${failure}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  void readLines(output, note);
  return counts;
}

async function readLines(
  output: ReadableStream<Uint8Array>,
  note: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of output) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(note);
  }
}
