import type { Socket } from "bun";
import { postRequest } from "./framing.ts";
import type { Address, FirstEventsAnswer, FirstEventsJob } from "./jobs.ts";
import { Latencies } from "./latencies.ts";
import { streamCall } from "./messages.ts";

type Stream = { readonly micros: number; close(): void };

const waitMillis = 10_000;
const openedAtOnce = 32;
const held: Stream[] = [];

/** Opens streams one after the other, each closed as soon as its first event is there. */
export async function measureFirstEvents(job: FirstEventsJob): Promise<FirstEventsAnswer> {
  const latencies = new Latencies();
  const endAt = performance.now() + job.limitMillis;
  while (latencies.total < job.samples && performance.now() < endAt) {
    const stream = await openStream(job);
    latencies.add(stream.micros);
    stream.close();
  }
  return { p50Micros: latencies.quantile(0.5), p99Micros: latencies.quantile(0.99) };
}

/** Opens streams and keeps them until {@link closeStreams}. */
export async function openStreams(
  job: Address & { readonly count: number },
): Promise<{ opened: number }> {
  const before = held.length;
  let left = job.count;
  const openNext = async () => {
    while (left > 0) {
      left -= 1;
      held.push(await openStream(job));
    }
  };
  await Promise.all(Array.from({ length: openedAtOnce }, openNext));
  return { opened: held.length - before };
}

export async function closeStreams(): Promise<{ closed: number }> {
  const closing = held.splice(0);
  for (const stream of closing) stream.close();
  return Promise.resolve({ closed: closing.length });
}

/** One stream on its own connection; `micros` runs from the request, sent when connected, to the first `data:`. */
async function openStream(address: Address): Promise<Stream> {
  const url = new URL(address.url);
  const request = postRequest(url, address.headers, streamCall);
  const arrived = Promise.withResolvers<Stream>();
  let text = "";
  let sentAt = 0;
  let hasArrived = false;
  const receive = (socket: Socket, bytes: Buffer): void => {
    if (hasArrived) return;
    text += bytes.toString("latin1");
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    if (!text.startsWith("HTTP/1.1 200")) arrived.reject(new Error(text.slice(0, 400)));
    if (!text.includes("data:", headEnd)) return;
    hasArrived = true;
    const micros = (Bun.nanoseconds() - sentAt) / 1000;
    arrived.resolve({ micros, close: () => socket.end() });
  };
  const patience = setTimeout(
    () => arrived.reject(new Error("no first event within ten seconds")),
    waitMillis,
  );
  const socket = await Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      data: receive,
      close: () => arrived.reject(new Error("the stream was closed before its first event")),
      error: (socket) => socket.terminate(),
    },
  });
  try {
    sentAt = Bun.nanoseconds();
    socket.write(request);
    return await arrived.promise;
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    clearTimeout(patience);
  }
}
