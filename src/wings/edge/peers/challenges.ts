import { randomBytes } from "node:crypto";
import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { readCapabilities } from "../capabilities.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Self } from "./meet.ts";
import { type Place, type Transcript, isOfFleet, isProven, prove } from "./transcript.ts";

/** A node that has proven to us who it is. */
export type Proven = { readonly identity: NodeIdentity; readonly isOfFleet: boolean };

/** The side that is asked. */
export type Challenges = {
  /** Proves who we are, and asks who that is. Failures: `message_invalid`. */
  begin(body: unknown, place: Place): object;
  /** Failures: `challenge_refused`. */
  finish(body: unknown): Proven;
};

type Open = {
  readonly identity: NodeIdentity;
  readonly transcript: Transcript;
  readonly until: number;
};

const answerWithinMs = 10_000;
/** Of strangers too: the oldest go. */
const mostOpen = 1000;

export function createChallenges(self: Self): Challenges {
  const open = new Map<string, Open>();
  const now = () => self.now().getTime();
  return {
    begin(body, place) {
      const { document, nonce: fromNonce } = isObject(body) ? body : {};
      const read = isObject(document)
        ? readCapabilities(JSON.stringify(document), self.now())
        : undefined;
      if (read === undefined || typeof fromNonce !== "string" || !/^[\w-]{43}$/.test(fromNonce)) {
        throw new Failure("message_invalid", "Send your signed document and a nonce of 32 bytes");
      }
      const id = randomBytes(16).toString("base64url");
      const toNonce = randomBytes(32).toString("base64url");
      const { peerId: from } = read.identity;
      const transcript = { from, to: self.node.peerId, fromNonce, toNonce, ...place };
      const [oldest] = open.size >= mostOpen ? open.keys() : [];
      if (oldest !== undefined) open.delete(oldest);
      open.set(id, { identity: read.identity, transcript, until: now() + answerWithinMs });
      const proof = prove(self, "challenge", transcript);
      return { id, nonce: toNonce, ...place, ...proof, document: self.document() };
    },
    finish(body) {
      const { id, signature, fleet } = isObject(body) ? body : {};
      const begun = typeof id === "string" ? open.get(id) : undefined;
      // Once, whatever comes of it.
      open.delete(String(id));
      if (begun === undefined || now() > begun.until) throw new Failure("challenge_refused");
      const { identity, transcript } = begun;
      if (!isProven(identity, "response", { transcript, signature })) {
        throw new Failure("challenge_refused");
      }
      const isFleets = isOfFleet(self.fleetKey, "response", { transcript, fleet });
      return { identity, isOfFleet: isFleets };
    },
  };
}
