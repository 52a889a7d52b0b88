/** How old a token has to be to die: a call that was just given a new one must not meet it dead again. */
const leastMillis = 500;
const bearer = /\r\nauthorization: *bearer +([^\r\n]+)/i;

/**
 * Tokens that die while they are used: one of every so many calls meets a dead one, because it ends the token
 * it carries, or because an earlier call has.
 */
export class MortalTokens {
  readonly #seenAt = new Map<string, number>();
  readonly #dead = new Set<string>();
  #owed = 0;
  #calls = 0;
  #refused = 0;

  /** What was counted so far, over all tokens. */
  get counts(): { readonly calls: number; readonly refused: number } {
    return { calls: this.#calls, refused: this.#refused };
  }

  /** Whether a call with this head is refused, which one of `every` calls is. */
  refuses(head: string, every: number): boolean {
    const token = bearer.exec(head)?.[1] ?? "";
    this.#calls += 1;
    this.#owed += 1 / every;
    if (!this.#dead.has(token) && !this.#dies(token)) return false;
    this.#owed -= 1;
    this.#refused += 1;
    return true;
  }

  /** A death that is due waits for the next token that is old enough. */
  #dies(token: string): boolean {
    const now = performance.now();
    const seenAt = this.#seenAt.get(token);
    if (seenAt === undefined) this.#seenAt.set(token, now);
    if (this.#owed < 1 || now - (seenAt ?? now) < leastMillis) return false;
    this.#seenAt.delete(token);
    this.#dead.add(token);
    return true;
  }
}
