import { Failure } from "#src/failure.ts";

/** What the type of an answer's body means for whoever passes it on. */
export type MediaType = {
  readonly isStream: boolean;
  /** It could be a message for some client. */
  readonly isJson: boolean;
  /** What every answer of this type is sent with. */
  readonly headers: Headers;
};

const mediaTypes = new Map<string | null, MediaType>();
const mostMediaTypes = 100;

/** Upstreams use few of them. Failures: `upstream_invalid` for what some clients take for a stream of events. */
export function mediaTypeOf(type: string | null | undefined): MediaType {
  const known = mediaTypes.get(type ?? null);
  if (known !== undefined) return known;
  const read = readMediaType(type ?? undefined);
  if (mediaTypes.size >= mostMediaTypes) mediaTypes.clear();
  mediaTypes.set(type ?? null, read);
  return read;
}

function readMediaType(type: string | undefined): MediaType {
  const isStream = /^\s*text\/event-stream\s*(;|$)/i.test(type ?? "");
  if (!isStream && /text\/event-stream/i.test(type ?? "")) throw new Failure("upstream_invalid");
  const headers = new Headers({
    "cache-control": isStream ? "no-cache, no-transform" : "no-store",
    "x-content-type-options": "nosniff",
  });
  if (isStream) headers.set("x-accel-buffering", "no");
  if (type !== undefined) headers.set("content-type", plainType(type));
  return { isStream, isJson: type === undefined || /json/i.test(type), headers };
}

/** Messages are UTF-8 and were judged as that: no other charset goes on with them. */
function plainType(type: string): string {
  return (
    /^\s*(text\/event-stream|application\/json)\s*(;|$)/i.exec(type)?.[1]?.toLowerCase() ?? type
  );
}
