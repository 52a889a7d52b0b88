import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { hash, randomUUID } from "node:crypto";
import { basename, join } from "node:path";

/**
 * Lets `@chainsafe/libp2p-quic` find its native part, which the compiled binary carries for its own platform: a
 * library has to lie on a disk to be loaded. From source there is nothing to do. To be called before the import.
 */
export async function provideQuicLibrary(home: string): Promise<void> {
  if (!("Bun" in globalThis) || !Bun.isStandaloneExecutable) return;
  const embedded = Bun.embeddedFiles.find(
    (file) => "name" in file && basename(String(file.name)) === "libp2p-quic.node.zst",
  );
  if (embedded === undefined) return;
  const bytes = await Bun.zstdDecompress(await embedded.bytes());
  const file = join(home, `libp2p-quic-${hash("sha256", bytes).slice(0, 16)}.node`);
  if (!existsSync(file)) {
    mkdirSync(home, { recursive: true });
    const made = `${file}.${randomUUID()}`;
    writeFileSync(made, bytes, { mode: 0o700, flag: "wx" });
    renameSync(made, file);
  }
  // oxlint-disable-next-line node/no-process-env -- the library's own variable
  process.env["NAPI_RS_NATIVE_LIBRARY_PATH"] = file;
}
