/** Something that can be stopped. */
type Stoppable = { stop(): void };

/** What an AbortController does for one exchange, at a fraction of its cost: every call has one of these. */
export class Cancel {
  #isCancelled = false;
  #isLate = false;
  #running: Stoppable | undefined;

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Its time was over, and nobody has gone away. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** Says what is to be stopped; the last one to say so is. */
  stops(running: Stoppable): void {
    this.#running = running;
    if (this.#isCancelled) running.stop();
  }

  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#running?.stop();
  }

  expire(): void {
    if (!this.#isCancelled) this.#isLate = true;
    this.cancel();
  }
}
