import type { App } from "#src/app.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type NodeIdentity, identityOfPeer } from "../identity.ts";
import { plainName, plainVersion } from "../capabilities.ts";
import { announcedAddress } from "../peers/address.ts";
import {
  type DiscoveredPeer,
  dropDiscovered,
  mostDiscovered,
  discoveredMs,
  saveDiscovered,
} from "./store.ts";

/** What somebody on the network says about a node. */
export type Announced = {
  readonly peerId: string;
  /** What it claims to be called; has to fit its key. */
  readonly nodeId: string;
  /** Origins, as they were announced. */
  readonly origins: readonly string[];
  /** The IP address that it came from. */
  readonly from: string;
  readonly via: "mdns" | "libp2p";
  readonly version: string | undefined;
  /** What its operator calls it. */
  readonly name?: string | undefined;
};

/** The nodes that were met lately: hints, bounded, and written down once a second at most. */
export type Directory = {
  /** False when it cannot be true, or is about ourselves. */
  met(announced: Announced): boolean;
  left(peerId: string): void;
  /** Writes down what is waiting. */
  flush(): Promise<void>;
};

const flushMs = 1000;
const mostAddresses = 4;

/** Of the node with this peer id. */
export function createDirectory(
  app: Pick<App, "db" | "log" | "now">,
  node: Pick<NodeIdentity, "peerId">,
): Directory {
  return new BoundedDirectory(app, node.peerId);
}

class BoundedDirectory implements Directory {
  readonly #app: Pick<App, "db" | "log" | "now">;
  readonly #of: string;
  readonly #waiting = new Map<string, DiscoveredPeer>();
  readonly #gone = new Set<string>();
  #isFailing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(app: Pick<App, "db" | "log" | "now">, of: string) {
    this.#app = app;
    this.#of = of;
  }

  met(announced: Announced): boolean {
    const { peerId, nodeId } = announced;
    const isSense = identityOfPeer(peerId)?.nodeId === nodeId && peerId !== this.#of;
    const isRoom = this.#waiting.size < mostDiscovered || this.#waiting.has(peerId);
    if (!isSense || !isRoom) return false;
    this.#gone.delete(peerId);
    this.#waiting.set(peerId, this.#sighting(announced));
    this.#soon();
    return true;
  }

  left(peerId: string): void {
    if (identityOfPeer(peerId) === undefined) return;
    this.#waiting.delete(peerId);
    if (this.#gone.size < mostDiscovered) this.#gone.add(peerId);
    this.#soon();
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [met, left] = [[...this.#waiting.values()], [...this.#gone]];
    this.#waiting.clear();
    this.#gone.clear();
    try {
      await timely(saveDiscovered(this.#app.db, met));
      await timely(dropDiscovered(this.#app.db, this.#of, left));
      this.#isFailing = false;
    } catch (error) {
      // They will be met again.
      if (!this.#isFailing) this.#app.log.warn("sightings_not_stored", errorFields(error));
      this.#isFailing = true;
    }
  }

  #sighting({ origins, from, ...announced }: Announced): DiscoveredPeer {
    const { peerId, nodeId, via, version, name } = announced;
    const fresh = origins.flatMap((each) => announcedAddress(each, from) ?? []);
    const before = this.#waiting.get(peerId)?.addresses ?? [];
    const now = this.#app.now();
    return {
      of: this.#of,
      peerId,
      nodeId,
      name: plainName(name) ?? null,
      addresses: [...new Set([...fresh, ...before])].slice(0, mostAddresses),
      via,
      version: plainVersion(version) ?? null,
      seenAt: now,
      expiresAt: new Date(now.getTime() + discoveredMs),
    };
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => void this.flush(), flushMs).unref();
  }
}
