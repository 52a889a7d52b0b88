import type { Acknowledged } from "#db/replicas.ts";
import type { Outcome } from "./command.ts";

/** What a command adds about the gateways that had to act upon it: it ends with 1 when one of them has not. */
export function acknowledgedOutcome({ by, of, streams }: Acknowledged): {
  /** `gateways`: that have acted upon it; `gatewaysLive`: that run; `streamsCut`: open streams that they closed. */
  readonly json: {
    readonly gateways: number;
    readonly gatewaysLive: number;
    readonly streamsCut: number;
  };
  readonly text: string;
  readonly talk: readonly string[];
  readonly exit: Pick<Outcome, "exit">;
} {
  const closed =
    streams === 0 ? "" : streams === 1 ? "; 1 stream closed" : `; ${streams} streams closed`;
  return {
    json: { gateways: by, gatewaysLive: of, streamsCut: streams },
    text: `Acknowledged by ${by} of ${of} gateways${closed}.`,
    talk:
      of === 0
        ? ["No gateway is running: it holds when one starts."]
        : by === of
          ? []
          : [
              `${of - by} of ${of} gateways did not answer within two seconds. They act upon it as soon as they reach the database; look at their logs, and stop one that hangs.`,
            ],
    exit: by < of ? { exit: 1 } : {},
  };
}
