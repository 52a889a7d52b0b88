import type { Sample } from "./samples.ts";

/** How memory went after the warm-up, which is the first third. */
export type Growth = {
  readonly slopeKilobytesPerMinute: number;
  /** Of the slope, as if the samples did not hang together: it rather is more. */
  readonly standardError: number;
  /** Standard deviation around the line, in kilobytes: what a garbage collector makes of a steady load. */
  readonly noiseKilobytes: number;
  /** The means of the middle and of the last third, and from one to the other. */
  readonly middleKilobytes: number;
  readonly lastKilobytes: number;
  readonly grownKilobytes: number;
};

/** What may be grown; without a slope where the run is too short for one. */
export type GrowthBounds = {
  readonly grownKilobytes: number;
  readonly slopeKilobytesPerMinute?: number;
  /** A run that grew by more than this goes on for half as long again, so often. */
  readonly suspectKilobytes: number;
  readonly extensions: number;
};

const [shortSeconds, longSeconds] = [45, 300];
/** So many standard errors away from nothing is no accident. */
const meaningfulErrors = 3;

/**
 * Memory that is steady goes up by ten megabytes and down again, every half minute or so, as it is collected: means
 * of twenty seconds differ by three megabytes (standard deviation), those of minutes by less than one. A leak goes on
 * when a short run goes on, a collector's mood does not.
 */
export function boundsFor(seconds: number): GrowthBounds {
  // Shorter than one turn of the collector: only what leaks much can be seen.
  if (seconds < shortSeconds) {
    return { grownKilobytes: 24 * 1024, suspectKilobytes: 12 * 1024, extensions: 2 };
  }
  return seconds < longSeconds
    ? { grownKilobytes: 4096, suspectKilobytes: 2048, extensions: 2 }
    : { grownKilobytes: 3072, slopeKilobytesPerMinute: 512, suspectKilobytes: 0, extensions: 0 };
}

/** In words, what grew beyond its bound. */
export function findGrowth(growth: Growth, bounds: GrowthBounds): readonly string[] {
  const { grownKilobytes, slopeKilobytesPerMinute: slope, standardError } = growth;
  const most = bounds.slopeKilobytesPerMinute ?? Number.POSITIVE_INFINITY;
  const faults: string[] = [];
  if (grownKilobytes > bounds.grownKilobytes) {
    faults.push(
      `memory grew by ${grownKilobytes.toFixed(0)} KB from the middle third to the last, at most ${bounds.grownKilobytes} are noise`,
    );
  }
  if (slope > most && slope > meaningfulErrors * standardError) {
    faults.push(`memory grows by ${slope.toFixed(0)} KB a minute, at most ${most} are noise`);
  }
  return faults;
}

export function measureGrowth(samples: readonly Sample[]): Growth {
  const third = Math.floor(samples.length / 3);
  const judged = samples.slice(third);
  const line = fitLine(judged.map(({ second, kilobytes }) => [second / 60, kilobytes]));
  const middleKilobytes = mean(samples.slice(third, 2 * third));
  const lastKilobytes = mean(samples.slice(2 * third));
  return {
    slopeKilobytesPerMinute: line.slope,
    standardError: line.standardError,
    noiseKilobytes: line.deviation,
    middleKilobytes,
    lastKilobytes,
    grownKilobytes: lastKilobytes - middleKilobytes,
  };
}

/** Least squares. */
function fitLine(points: readonly (readonly [number, number])[]) {
  const count = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count;
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const left = points.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  const deviation = Math.sqrt(left / Math.max(1, count - 2));
  return { slope, deviation, standardError: deviation / Math.sqrt(spread) };
}

function mean(samples: readonly Sample[]): number {
  return samples.reduce((sum, { kilobytes }) => sum + kilobytes, 0) / samples.length;
}
