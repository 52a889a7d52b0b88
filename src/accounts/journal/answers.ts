import { mkdir, open, readFile, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "#src/failure.ts";

/** One credential of an account. An answer of the provider that replaced it is kept under its number. */
export type Version = { readonly id: string; readonly generation: number };

/** One file for each generation whose successor was asked for, until the successor is in the database. */
export type Answers = {
  /** Makes room for an answer, so that a disk that fills up meanwhile cannot cost it. What was there is gone. */
  reserve(version: Version): Promise<void>;
  /** Resolves when the disk has the bytes. */
  write(version: Version, bytes: Uint8Array): Promise<void>;
  /** The bytes; none when only room was made; undefined when there is no file. */
  read(version: Version): Promise<Uint8Array | undefined>;
  drop(version: Version): Promise<void>;
  /** Makes room as for an answer, and gives it back. */
  tryOut(): Promise<void>;
  list(): Promise<readonly Version[]>;
};

/** Two tokens of 4 KB, sealed twice and in base64, and the rest. */
const reservedBytes = 32 * 1024;
/** More than any answer that is read from a provider makes. */
const mostBytes = 2 * 1024 * 1024;
const headBytes = 4;

export async function openAnswers(folder: string): Promise<Answers> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fileOf = ({ id, generation }: Version) => join(folder, `${id}.${generation}`);
  const makeRoom = async (file: string) => {
    try {
      await writeFirst(file, new Uint8Array(reservedBytes), "w");
      await flushFolder(folder);
    } catch (error) {
      await unlink(file).catch(() => undefined);
      throw error;
    }
  };
  return {
    reserve: (version) => makeRoom(fileOf(version)),
    // One name for all who share the folder: who dies with it leaves nothing that grows.
    async tryOut() {
      const file = join(folder, "trial");
      await makeRoom(file);
      await unlink(file).catch(ignoreMissing);
    },
    async write(version, bytes) {
      const head = Buffer.alloc(headBytes);
      head.writeUInt32BE(bytes.length);
      const all = Buffer.concat([head, bytes]);
      try {
        await writeFirst(fileOf(version), all, "r+");
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
        await writeFirst(fileOf(version), all, "w");
        await flushFolder(folder);
      }
    },
    read: (version) => contentOf(fileOf(version)),
    drop: (version) => unlink(fileOf(version)).catch(ignoreMissing),
    list: async () => (await readdir(folder)).flatMap(versionIn),
  };
}

/** The ids of the keys that sealed the answers in a folder, as a seal writes them, in hex. */
export async function sealedAnswers(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const contents = await Promise.all(names.map((name) => contentOf(join(folder, name))));
  return contents.flatMap((bytes) =>
    bytes === undefined || bytes.length === 0 ? [] : [Buffer.from(bytes).toString("hex", 1, 5)],
  );
}

async function writeFirst(file: string, bytes: Uint8Array, flags: string): Promise<void> {
  await using handle = await open(file, flags, 0o600);
  for (let at = 0; at < bytes.length;) {
    // A disk that is almost full takes a part and says so.
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, at);
    if (bytesWritten === 0) throw new Error("the disk takes nothing more");
    at += bytesWritten;
  }
  await handle.datasync();
}

async function contentOf(file: string): Promise<Uint8Array | undefined> {
  const bytes = await readFile(file).catch(ignoreMissing);
  if (bytes === undefined) return undefined;
  const length = bytes.length < headBytes ? 0 : bytes.readUInt32BE(0);
  const isWhole = length <= mostBytes && bytes.length >= headBytes + length;
  return isWhole ? bytes.subarray(headBytes, headBytes + length) : new Uint8Array();
}

/** A new name is only safe once its folder is on the disk. */
export async function flushFolder(folder: string): Promise<void> {
  await using handle = await open(folder, "r");
  await handle.sync();
}

/** `UUID.NUMBER`; anything else in the folder is not ours. */
export function versionIn(name: string): readonly Version[] {
  const [, id = "", generation = ""] = /^([0-9a-f-]{36})\.(\d{1,10})$/.exec(name) ?? [];
  return id === "" ? [] : [{ id, generation: Number(generation) }];
}

export function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}
