import { kindOf } from "./kind.ts";
import type { Scene } from "./scene.ts";
import { type Stream, openStream } from "./stream.ts";
import type { ClientCounts } from "./client-counts.ts";

export type HeldStreams = {
  countAlive(): number;
  countCut(): number;
  /** Streams that have brought nothing for so long, not even a comment. */
  countSilent(millis: number): number;
  leave(): void;
};

const openedAtOnce = 16;

/** Opens streams, a few at a time, that are held until they are left. What cannot be opened is an error. */
export async function holdStreams(
  scene: Scene,
  clientCounts: ClientCounts,
  count: number,
): Promise<HeldStreams> {
  const held: Stream[] = [];
  let begun = 0;
  const openNext = async () => {
    while (begun < count) {
      const bearer = scene.bearers[begun % scene.bearers.length] ?? "";
      begun += 1;
      try {
        held.push(await openStream(scene.address, bearer));
      } catch (error) {
        clientCounts.failed(`held stream: ${kindOf(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: openedAtOnce }, openNext));
  const alive = () => held.filter((stream) => !stream.isCut());
  return {
    countAlive: () => alive().length,
    countCut: () => held.length - alive().length,
    countSilent: (millis) =>
      alive().filter((stream) => performance.now() - stream.heardAt() > millis).length,
    leave: () => {
      for (const stream of held) stream.leave();
    },
  };
}
