import { join } from "node:path";
import { type BundledDatabase, runningBundled, startBundled } from "#db/embedded.ts";
import { bunRuntime } from "#src/runtime/bun.ts";

/** A bundled PostgreSQL in a folder, whose process comes and goes as it is told: one thing after the other. */
export class FolderDatabase {
  readonly #folder: string;
  #running: BundledDatabase | undefined;
  #isOver = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Resolves with its URL. */
  start(): Promise<string> {
    return this.#inTurn(() => this.#startNow());
  }

  /** Ends it in order, as a restart does, whoever has started it. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#stopNow());
  }

  /** Ends it at once, as a crash does. */
  kill(): Promise<void> {
    return this.#inTurn(async () => {
      const file = Bun.file(join(this.#folder, "data", "postmaster.pid"));
      process.kill(Number.parseInt(await file.text(), 10), "SIGKILL");
      // It does not answer any more: what is left is the lock of the folder.
      await this.#stopNow();
    });
  }

  /** Ends it for good. */
  end(): Promise<void> {
    this.#isOver = true;
    return this.stop();
  }

  async #startNow(): Promise<string> {
    if (this.#isOver) throw new Error("the database has ended");
    this.#running ??= await openBundled(this.#folder);
    return this.#running.url;
  }

  async #stopNow(): Promise<void> {
    // A gateway that it was left to may have been killed: taking it over is how to end it.
    const isLeft =
      this.#running === undefined && (await runningBundled(this.#folder)) !== undefined;
    const stopping = isLeft ? await openBundled(this.#folder) : this.#running;
    this.#running = undefined;
    await stopping?.stop();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn;
    return turn;
  }
}

function openBundled(folder: string): Promise<BundledDatabase> {
  const { installPostgres } = bunRuntime;
  if (installPostgres === undefined) throw new Error("there is a PostgreSQL to install");
  return startBundled(folder, installPostgres);
}
