import { connect } from "node:tls";
import type { App } from "#src/app.ts";
import { timely } from "#src/clock.ts";
import { takeTask, taskDone } from "../store.ts";

const everySeconds = 12 * 3600;
const limitMs = 5000;
const dayMs = 86_400_000;

/** Twice a day for all replicas: how long the certificate of PUBLIC_URL is still good. Never rejects for want of an answer. */
export async function lookAtCertificate(
  app: Pick<App, "db" | "config" | "replica" | "now">,
): Promise<void> {
  const url = app.config.publicUrl === undefined ? undefined : new URL(app.config.publicUrl);
  if (url?.protocol !== "https:") return;
  const task = { name: "certificate", holder: app.replica, everySeconds };
  if (!(await timely(takeTask(app.db, task)))) return;
  const ends = await certificateEnd(url);
  // What was seen last stands; it is tried again when the lease of the task is over.
  if (ends === undefined) return;
  const daysLeft = (ends.getTime() - app.now().getTime()) / dayMs;
  await timely(taskDone(app.db, "certificate", { daysLeft }));
}

/** When the certificate that an https address shows ends; undefined when it shows none that is readable. */
function certificateEnd(url: URL): Promise<Date | undefined> {
  const done = Promise.withResolvers<Date | undefined>();
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const socket = connect({
    host,
    port: Number(url.port || 443),
    ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
    // Who it is, is not the question; how long it is good, is.
    rejectUnauthorized: false,
    timeout: limitMs,
  });
  socket.once("secureConnect", () => {
    const { valid_to: ends } = socket.getPeerCertificate();
    done.resolve(ends === undefined ? undefined : new Date(ends));
    socket.destroy();
  });
  const nothing = () => {
    done.resolve(undefined);
    socket.destroy();
  };
  socket.once("error", nothing);
  socket.once("timeout", nothing);
  const timer = setTimeout(nothing, limitMs);
  return done.promise.finally(() => clearTimeout(timer));
}
