import type { Caller } from "#src/oauth-server/caller.ts";

/** A JSON-RPC notification (MCP), and whom it is for. */
export type Notice = {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly isFor: (caller: Caller) => boolean;
};

export type Kept = { readonly id: string; readonly data: string; readonly notice: Notice };

/** What this process has to tell, the last 256 of it: whoever comes back is told what was missed. */
export type Hub = {
  tell(notice: Notice): void;
  /** Hears everything from now on; returns how to stop. */
  join(listener: (kept: Kept) => void): () => void;
  /** What was told after this event id; undefined when that is not known here (any more). */
  since(id: string): readonly Kept[] | undefined;
  /** The id of the last one. */
  last(): string;
};

const mostKept = 256;

/** @param name Of this process: an event id of another one means nothing here. */
export function createHub(name: string): Hub {
  const listeners = new Set<(kept: Kept) => void>();
  const kept: Kept[] = [];
  let count = 0;
  const idOf = (number: number) => `${name}-${number}`;
  return {
    tell(notice) {
      count += 1;
      const { method, params } = notice;
      const data = JSON.stringify({ jsonrpc: "2.0", method, ...(params && { params }) });
      const one = { id: idOf(count), data, notice };
      kept.push(one);
      if (kept.length > mostKept) kept.shift();
      for (const listener of listeners) listener(one);
    },
    join(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    since(id) {
      const number = Number(id.startsWith(`${name}-`) ? id.slice(name.length + 1) : "x");
      const oldest = count - kept.length;
      if (!Number.isInteger(number) || number < oldest || number > count) return undefined;
      return kept.slice(number - oldest);
    },
    last: () => idOf(count),
  };
}
