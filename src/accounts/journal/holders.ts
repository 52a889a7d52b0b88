import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { readId } from "#src/crypto/ids.ts";

/** Who uses a journal now. The operating system tells, even after kill -9. */
export type Holders = {
  /** Replicas that used this journal and are gone; each is told once. */
  gone(): readonly string[];
  leave(): void;
};

/** @param replica Our own name, a UUID. */
export function joinHolders(folder: string, replica: string): Holders {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // SQLite gives the files that it makes beside it the same mode.
  closeSync(openSync(join(folder, replica), "a", 0o600));
  const own = lock(join(folder, replica), ownWaitMs);
  if (own === undefined) throw new Error("the lock of this process cannot be taken");
  return {
    gone: () => readdirSync(folder).filter((name) => isGone(folder, name, replica)),
    leave: () => {
      if (!own.isOpen) return;
      own.close();
      remove(join(folder, replica));
    },
  };
}

function isGone(folder: string, name: string, replica: string): boolean {
  const isOther = name !== replica && readId(name) !== undefined;
  // Whatever else lies there is not one of ours.
  if (!isOther || !lstatSync(join(folder, name)).isFile()) return false;
  const free = lock(join(folder, name));
  if (free === undefined) return false;
  free.close();
  remove(join(folder, name));
  return true;
}

/** A neighbour may be looking at our lock at this very moment. */
const ownWaitMs = 200;

/** Undefined while its process lives. */
function lock(file: string, waitMs = 0): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec(`pragma busy_timeout = ${waitMs}; begin exclusive`);
    return database;
  } catch {
    database?.close();
    return undefined;
  }
}

function remove(file: string): void {
  for (const name of [file, `${file}-journal`]) rmSync(name, { force: true });
}
