/**
 * What is under way, in no order: whoever leaves is followed by the last. For what comes and goes with each call, a Set
 * costs more than it looks: every table that JavaScriptCore's has outgrown holds what was in it, and the table after
 * it, so that a single old one keeps all that came later until the whole heap is collected.
 */
export class Roster<T> {
  readonly #places: Place<T>[] = [];

  get size(): number {
    return this.#places.length;
  }

  join(value: T): Place<T> {
    return new Place(this.#places, value);
  }

  /** As it is now: whoever is told of it may leave. */
  all(): readonly T[] {
    return this.#places.map(({ value }) => value);
  }
}

export class Place<T> {
  readonly value: T;
  readonly #places: Place<T>[];
  #index: number;

  constructor(places: Place<T>[], value: T) {
    this.value = value;
    this.#places = places;
    this.#index = places.push(this) - 1;
  }

  /** A second time it does nothing. */
  leave(): void {
    if (this.#index < 0) return;
    const last = this.#places.pop();
    if (last !== undefined && last !== this) {
      this.#places[this.#index] = last;
      last.#index = this.#index;
    }
    this.#index = -1;
  }
}
