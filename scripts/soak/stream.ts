import type { Socket } from "bun";
import { postRequest } from "../bench/framing.ts";
import { streamCall } from "../bench/messages.ts";

/** A client's event stream on a bare socket: fetch in one process holds 256. */
export type Stream = {
  /** When it last brought anything, by `performance.now()`. */
  heardAt(): number;
  /** It ended, or brought an error, although its client had not left. */
  isCut(): boolean;
  /** The client leaves, politely or as a process does that is killed. */
  leave(how?: "end" | "terminate"): void;
};

const patienceMillis = 15_000;

/** Resolves with the first event. */
export async function openStream(address: URL, bearer: string): Promise<Stream> {
  const request = postRequest(address, { Authorization: `Bearer ${bearer}` }, streamCall);
  const arrived = Promise.withResolvers<void>();
  let opening = "";
  let [heardAt, hasArrived, isCut, hasLeft] = [performance.now(), false, false, false];
  const receive = (bytes: Buffer): void => {
    heardAt = performance.now();
    if (hasArrived) {
      isCut ||= bytes.includes('"error"');
      return;
    }
    opening += bytes.toString("latin1");
    hasArrived = opening.startsWith("HTTP/1.1 200") && opening.includes("data:");
    if (hasArrived) arrived.resolve();
    else if (/^HTTP\/1.1 (?!200)/.test(opening)) arrived.reject(new Error(opening));
  };
  const patience = setTimeout(() => arrived.reject(new Error("no first event")), patienceMillis);
  const socket = await Bun.connect({
    hostname: address.hostname,
    port: Number(address.port),
    socket: {
      data: (_, bytes) => receive(bytes),
      close: () => {
        isCut ||= hasArrived && !hasLeft;
        arrived.reject(new Error("the connection was closed"));
      },
      error: (socket) => socket.terminate(),
    },
  });
  const leave = (how: "end" | "terminate" = "end"): void => {
    hasLeft = true;
    leaveBy(socket, how);
  };
  try {
    socket.write(request);
    await arrived.promise;
  } catch (error) {
    leave("terminate");
    throw error;
  } finally {
    clearTimeout(patience);
  }
  return { heardAt: () => heardAt, isCut: () => isCut, leave };
}

function leaveBy(socket: Socket, how: "end" | "terminate"): void {
  if (how === "end") socket.end();
  else socket.terminate();
}
