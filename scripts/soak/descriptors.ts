import { readFileSync, readdirSync, readlinkSync } from "node:fs";

/** What the descriptors of a gateway are, by who is at the other end. */
export const descriptorKinds = [
  "clients",
  "upstream",
  "provider",
  "otherTcp",
  "database",
  "rest",
] as const;
export type Descriptors = Readonly<Record<(typeof descriptorKinds)[number] | "all", number>>;

export function countDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

type Ports = { readonly gateway: number; readonly upstream: number; readonly provider: number };

/** Sockets are told apart by their ports; unix sockets are the database's, but for those of the output. */
export function sortDescriptors(pid: number, ports: Ports): Descriptors {
  const kinds = new Map([...kindsOfTcp(pid, ports), ...unixSockets(pid)]);
  const output = new Set([0, 1, 2].map((number) => targetOf(`/proc/${pid}/fd/${number}`)));
  const counts = { clients: 0, upstream: 0, provider: 0, otherTcp: 0, database: 0, rest: 0 };
  let all = 0;
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    const target = targetOf(`/proc/${pid}/fd/${name}`);
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    const kind = output.has(target) ? undefined : kinds.get(inode ?? "");
    counts[kind ?? "rest"] += 1;
    all += 1;
  }
  return { ...counts, all };
}

type Kind = (typeof descriptorKinds)[number];

/** The columns of /proc/PID/net/tcp: 1 and 2 are the addresses, port in hexadecimal; 9 is the inode. */
function kindsOfTcp(pid: number, ports: Ports): readonly (readonly [string, Kind])[] {
  return ["tcp", "tcp6"].flatMap((table) =>
    linesOf(`/proc/${pid}/net/${table}`).map((line) => {
      const columns = line.trim().split(/\s+/);
      const [local, remote] = [portIn(columns[1]), portIn(columns[2])];
      const kind =
        local === ports.gateway
          ? "clients"
          : remote === ports.upstream
            ? "upstream"
            : remote === ports.provider
              ? "provider"
              : "otherTcp";
      return [columns[9] ?? "", kind] as const;
    }),
  );
}

function unixSockets(pid: number): readonly (readonly [string, Kind])[] {
  return linesOf(`/proc/${pid}/net/unix`).map((line) => {
    const columns = line.trim().split(/\s+/);
    return [columns[6] ?? "", "database"] as const;
  });
}

function linesOf(file: string): readonly string[] {
  return readFileSync(file, "latin1").trimEnd().split("\n").slice(1);
}

function portIn(address = ""): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}

/** It may be gone by the time it is read. */
function targetOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return "";
  }
}
