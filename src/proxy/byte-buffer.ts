const [leastBytes, mostReused] = [1024, 256 * 1024];

/** Bytes of one event: as many pieces as it comes in, one piece of memory. */
export class ByteBuffer {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const room = new Uint8Array(Math.max(2 * this.#bytes.length, needed, leastBytes));
      room.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = room;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  /** A view of all there is; what is added after `clear` overwrites it. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps the first bytes alone, in memory of their size. */
  cut(bytes: number): void {
    this.#length = Math.min(this.#length, bytes);
    this.#bytes = this.#bytes.slice(0, this.#length);
  }

  /** Begins anew, in the same memory unless that is much. */
  clear(): void {
    if (this.#bytes.length > mostReused) this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }
}
