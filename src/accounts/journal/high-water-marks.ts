import { mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Version, flushFolder, ignoreMissing, versionIn } from "./answers.ts";

/**
 * The newest generation of each account that this journal knows to have been stored. A database that holds
 * an older one was restored from a backup, and its refresh token has been used. Holds no secrets.
 */
export type HighWaterMarks = {
  highest(id: string): number;
  all(): readonly Version[];
  /** Notes what was read; the disk has it some moments later. */
  saw(version: Version): void;
  /** Resolves when the disk has it. */
  mark(version: Version): Promise<void>;
  /** Forgets an account that has been unknown to the database for long. */
  forgetOld(id: string, before: Date): Promise<void>;
};

/** Of a gateway without a journal. */
export const noHighWaterMarks: HighWaterMarks = {
  highest: () => 0,
  all: () => [],
  saw: () => undefined,
  mark: () => Promise.resolve(),
  forgetOld: () => Promise.resolve(),
};

/** An empty file each; beyond so many accounts the rest is not watched over. */
const mostAccounts = 200_000;

/** @param complain Hears that high-water marks cannot be written. */
export async function openHighWaterMarks(
  folder: string,
  complain: (error: unknown) => void,
): Promise<HighWaterMarks> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const known = new Map<string, number>();
  for (const { id, generation } of (await readdir(folder)).flatMap(versionIn)) {
    known.set(id, Math.max(generation, known.get(id) ?? 0));
  }
  return new MarkFiles(folder, known, complain);
}

type Waiting = { readonly generation: number; readonly before: number };

class MarkFiles implements HighWaterMarks {
  readonly #folder: string;
  readonly #known: Map<string, number>;
  readonly #complain: (error: unknown) => void;
  readonly #waiting = new Map<string, Waiting>();
  #writing: Promise<void> | undefined;

  constructor(folder: string, known: Map<string, number>, complain: (error: unknown) => void) {
    this.#folder = folder;
    this.#known = known;
    this.#complain = complain;
  }

  highest(id: string): number {
    return this.#known.get(id) ?? 0;
  }

  all(): readonly Version[] {
    return [...this.#known].map(([id, generation]) => ({ id, generation }));
  }

  saw(version: Version): void {
    if (this.#note(version)) this.#write().catch(this.#complain);
  }

  async mark(version: Version): Promise<void> {
    this.#note(version);
    while (this.#waiting.has(version.id) || this.#writing !== undefined) await this.#write();
    await flushFolder(this.#folder);
  }

  async forgetOld(id: string, before: Date): Promise<void> {
    const file = this.#fileOf({ id, generation: this.highest(id) });
    const found = await stat(file).catch(ignoreMissing);
    if (found !== undefined && found.mtime > before) return;
    this.#known.delete(id);
    await unlink(file).catch(ignoreMissing);
  }

  /** False when it is known already. */
  #note({ id, generation }: Version): boolean {
    const before = this.highest(id);
    if (generation <= before || (before === 0 && this.#known.size >= mostAccounts)) return false;
    this.#known.set(id, generation);
    this.#waiting.set(id, { generation, before: this.#waiting.get(id)?.before ?? before });
    return true;
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** The new name is there before the old one goes. */
  async #writeAll(): Promise<void> {
    for (const [id, next] of this.#waiting) {
      this.#waiting.delete(id);
      try {
        await this.#writeOne(id, next);
      } catch (error) {
        // Kept for the next time, unless a newer one waits already.
        const newer = this.#waiting.get(id);
        this.#waiting.set(id, { ...(newer ?? next), before: next.before });
        throw error;
      }
    }
  }

  async #writeOne(id: string, { generation, before }: Waiting): Promise<void> {
    await using _ = await open(this.#fileOf({ id, generation }), "a", 0o600);
    if (before > 0) await unlink(this.#fileOf({ id, generation: before })).catch(ignoreMissing);
  }

  #fileOf({ id, generation }: Version): string {
    return join(this.#folder, `${id}.${generation}`);
  }
}
