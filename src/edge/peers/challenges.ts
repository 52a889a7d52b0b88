import { randomBytes } from "node:crypto";
import { useAssertion } from "#src/oauth-server/clients/store.ts";
import type { App } from "#src/app.ts";
import { isObject, objectIn } from "#src/json.ts";
import { fingerprint, isSame, tagOf } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import { readCapabilities } from "../capabilities.ts";
import { type NodeIdentity, identityOfPeer } from "../identity.ts";
import type { Self } from "../self.ts";
import { type Place, type Transcript, fleetOf, isProven, prove } from "./transcript.ts";

/** A node that has proven to us who it is. */
export type Proven = {
  readonly identity: NodeIdentity;
  /** Names our fleet key where the other one has it too; undefined where it has not. */
  readonly fleetTag: string | undefined;
};

/** The side that is asked. Any replica can finish what another one has begun. */
type Challenges = {
  /** Proves who we are, and asks who that is. Failures: `message_invalid`. */
  begin(body: unknown, place: Place): object;
  /** Failures: `challenge_refused`, `database_unavailable`. */
  finish(body: unknown): Promise<Proven>;
};

const answerWithinMs = 10_000;

/** Remembers which challenges were answered: false for one that was. */
type UseOnce = (id: string, until: Date) => Promise<boolean>;

export function useOnceIn(app: Pick<App, "db">): UseOnce {
  return (id, until) =>
    timely(useAssertion(app.db, { fingerprint: fingerprint(`challenge ${id}`), expiresAt: until }));
}

/** Nothing is kept of a challenge that is open: its id carries everything, under a tag of ours. */
export function createChallenges(
  self: Self,
  { bindingKey, useOnce }: Pick<App, "bindingKey"> & { readonly useOnce: UseOnce },
): Challenges {
  const now = millisecondsOf(self);
  const tag = (text: string) => tagOf(bindingKey, `edge challenge ${text}`);
  return {
    begin(body, place) {
      const { document, nonce: fromNonce } = isObject(body) ? body : {};
      const text = isObject(document) ? JSON.stringify(document) : "";
      const read = readCapabilities(text, self.now());
      if (read === undefined || typeof fromNonce !== "string" || !/^[\w-]{43}$/.test(fromNonce)) {
        throw new Failure("message_invalid", "Send your signed document and a nonce of 32 bytes");
      }
      const toNonce = randomBytes(32).toString("base64url");
      const { peerId: from } = read.identity;
      const transcript: Transcript = { from, to: self.node.peerId, fromNonce, toNonce, ...place };
      const open = JSON.stringify({ ...transcript, until: now() + answerWithinMs });
      const id = `${Buffer.from(open).toString("base64url")}.${tag(open)}`;
      const proof = prove(self, "challenge", transcript);
      return { id, nonce: toNonce, ...place, ...proof, document: self.document() };
    },
    async finish(body) {
      const { id, signature, fleet } = isObject(body) ? body : {};
      const begun = typeof id === "string" ? openedBy(self, id, tag) : undefined;
      if (begun === undefined || now() > begun.until) throw new Failure("challenge_refused");
      const { transcript, until } = begun;
      const identity = identityOfPeer(transcript.from);
      if (identity === undefined || !isProven(identity, "response", { transcript, signature })) {
        throw new Failure("challenge_refused");
      }
      // Only what is right is written down.
      if (!(await useOnce(String(id), new Date(until)))) throw new Failure("challenge_refused");
      return { identity, fleetTag: fleetOf(self.fleetKey, "response", { transcript, fleet }) };
    },
  };
}

type Open = { readonly transcript: Transcript; readonly until: number };

const longestId = 4096;

/** What we have put into an id ourselves: the tag says that we wrote it, for us. */
function openedBy(self: Self, id: string, tag: (text: string) => string): Open | undefined {
  const [encoded = "", given = ""] = id.length > longestId ? [] : id.split(".");
  const text = Buffer.from(encoded, "base64url").toString("utf8");
  if (given === "" || !isSame(given, tag(text))) return undefined;
  const { from, to, fromNonce, toNonce, origin, certificate, until } = objectIn(text) ?? {};
  const { peerId } = self.node;
  // Another node with the same keys may have written it.
  if (to !== peerId) return undefined;
  const transcript = {
    from: String(from),
    to: peerId,
    fromNonce: String(fromNonce),
    toNonce: String(toNonce),
    origin: String(origin),
    certificate: typeof certificate === "string" ? certificate : null,
  };
  return { transcript, until: Number(until) };
}
