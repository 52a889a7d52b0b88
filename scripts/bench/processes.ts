import { readFileSync, readdirSync } from "node:fs";

/** The kernel counts in hundredths of a second on every Linux that Bun runs on (`getconf CLK_TCK`). */
const microsPerTick = 10_000;

/** A process and everything it has started, or nothing where there is no /proc. */
export function family(pid: number | undefined): readonly number[] {
  if (pid === undefined || stat(pid) === undefined) return [];
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const fields = /^\d+$/.test(name) ? stat(Number(name)) : undefined;
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]));
  }
  const members = [pid];
  // The list grows while it is walked: children are appended behind their parent.
  for (const member of members) {
    for (const [child, parent] of parents) if (parent === member) members.push(child);
  }
  return members;
}

/** Processor time used so far by these processes with all their threads, in microseconds. */
export function processorMicros(pids: readonly number[]): number | undefined {
  let ticks = 0;
  for (const pid of pids) {
    const fields = stat(pid);
    ticks += Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0);
  }
  return pids.length === 0 ? undefined : ticks * microsPerTick;
}

/** Resident memory of these processes, in kilobytes. */
export function residentKilobytes(pids: readonly number[]): number | undefined {
  let kilobytes = 0;
  for (const pid of pids) {
    kilobytes += Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0);
  }
  return pids.length === 0 ? undefined : kilobytes;
}

/** How long the machine's other guests have had its processors (`steal`, proc(5)), in seconds; 0 where nobody tells. */
export function stolenSeconds(): number {
  const ticks = /^cpu +(?:\d+ ){7}(\d+)/.exec(read("/proc/stat") ?? "")?.[1];
  return (Number(ticks ?? 0) * microsPerTick) / 1e6;
}

/** The fields of /proc/<pid>/stat from the third on: the name before them may hold anything. */
function stat(pid: number): readonly string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
