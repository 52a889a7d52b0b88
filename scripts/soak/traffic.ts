import { postRequest } from "../bench/framing.ts";
import { echoCall, slowCall } from "../bench/messages.ts";
import { Connection } from "./connection.ts";
import { kindOf } from "./kind.ts";
import { type Rate, startPace } from "./pace.ts";
import type { Scene } from "./scene.ts";
import { openStream } from "./stream.ts";
import type { ClientCounts } from "./client-counts.ts";

export type Traffic = {
  /** Resolves when everything that had begun has ended, and every client has gone. */
  stop(): Promise<void>;
};

type Rates = { readonly callsPerSecond: number; readonly churnPerSecond: number };

const patienceMillis = 15_000;

/** Steady calls, streams that come and go, and clients that leave in mid-call. */
export function startTraffic(scene: Scene, clientCounts: ClientCounts, rates: Rates): Traffic {
  const free: Connection[] = [];
  const tell = (who: string) => (error: unknown) => clientCounts.failed(`${who}: ${kindOf(error)}`);
  const calls = startPace(rates.callsPerSecond, (turn) =>
    call(scene, { clientCounts, free, turn }).catch(tell("call")),
  );
  const drops = startPace(rates.churnPerSecond, (turn) =>
    dropStream(scene, clientCounts, turn).catch(tell("dropped stream")),
  );
  const leaves = startPace(rates.churnPerSecond, (turn) =>
    leaveMidCall(scene, clientCounts, turn).catch(tell("leaving client")),
  );
  const all: readonly Rate[] = [calls, drops, leaves];
  return {
    async stop() {
      await Promise.all(all.map((pace) => pace.stop()));
      for (const connection of free) connection.end();
    },
  };
}

type Calling = {
  readonly clientCounts: ClientCounts;
  /** Connections that wait for their next call. */
  readonly free: Connection[];
  readonly turn: number;
};

async function call(scene: Scene, { clientCounts, free, turn }: Calling): Promise<void> {
  const startedAt = performance.now();
  const idle = free.pop();
  const connection =
    idle === undefined || idle.isClosed ? await Connection.open(scene.address) : idle;
  const late = setTimeout(() => connection.terminate(), patienceMillis);
  try {
    const answer = await connection.call(requestOf(scene, turn, echoCall));
    const isGood = answer.head.startsWith("HTTP/1.1 200") && answer.body.includes('"result"');
    if (isGood) clientCounts.answered(performance.now() - startedAt);
    else clientCounts.failed(`call: ${kindOf(`${answer.head}\n${answer.body}`)}`);
    free.push(connection);
  } finally {
    clearTimeout(late);
  }
}

const longestHeldMillis = 3000;

async function dropStream(scene: Scene, clientCounts: ClientCounts, turn: number): Promise<void> {
  const stream = await openStream(scene.address, bearerOf(scene, turn));
  await Bun.sleep(Math.random() * longestHeldMillis);
  if (stream.isCut()) clientCounts.failed("dropped stream: cut");
  stream.leave(turn % 2 === 0 ? "end" : "terminate");
  clientCounts.streamsDropped += 1;
}

/** The ways to leave, in turn: how much of a request has been sent, and how long ago. */
const ways = [
  { body: echoCall, share: 0.5, millis: 20 },
  { body: slowCall, share: 1, millis: 0 },
  { body: slowCall, share: 1, millis: 30 },
  { body: slowCall, share: 1, millis: 400 },
  { body: echoCall, share: 1, millis: 0 },
] as const;

async function leaveMidCall(scene: Scene, clientCounts: ClientCounts, turn: number): Promise<void> {
  const { body, share, millis } = ways[turn % ways.length] ?? ways[0];
  const request = requestOf(scene, turn, body);
  const connection = await Connection.open(scene.address);
  connection.write(request.subarray(0, Math.ceil(request.length * share)));
  await Bun.sleep(millis);
  // A whole round of the ways one way, the next round the other.
  if (Math.floor(turn / ways.length) % 2 === 0) connection.terminate();
  else connection.end();
  clientCounts.clientsLeft += 1;
}

function requestOf(scene: Scene, turn: number, body: string): Buffer {
  return postRequest(scene.address, { Authorization: `Bearer ${bearerOf(scene, turn)}` }, body);
}

function bearerOf({ bearers }: Scene, turn: number): string {
  return bearers[turn % bearers.length] ?? "";
}
