import { MemoryDatastore } from "datastore-core/memory";
import { Key } from "interface-datastore/key";

const mostEntries = 4096;
const [longestKey, longestValue] = [256, 16 * 1024];

/** What libp2p remembers of others. Strangers fill it: what is too long is not kept, and the oldest make room. */
export class BoundedDatastore extends MemoryDatastore {
  readonly #order = new Set<string>();

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString();
    if (name.length > longestKey || value.length > longestValue) return key;
    this.#order.delete(name);
    this.#order.add(name);
    const [oldest] = this.#order;
    if (this.#order.size > mostEntries && oldest !== undefined) await this.delete(new Key(oldest));
    return await super.put(key, value);
  }

  override async delete(key: Key): Promise<void> {
    this.#order.delete(key.toString());
    await super.delete(key);
  }
}
