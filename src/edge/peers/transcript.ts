import { canonicalJson } from "#src/json.ts";
import { isSignedBy } from "#src/crypto/node-key.ts";
import { isSame, tagOf } from "#src/crypto/secret.ts";
import type { Node, NodeIdentity } from "../identity.ts";

/** Where the answering node stands: what binds a challenge to the connection it came over. */
export type Place = {
  /** Under which of its names it was asked. */
  readonly origin: string;
  /** SHA-256 of the certificate that it shows itself, in hex; null where somebody in front of it does, or nobody. */
  readonly certificate: string | null;
};

/** Everything that both sides sign: who, to whom, both nonces, over which connection. */
export type Transcript = Place & {
  readonly from: string;
  readonly to: string;
  readonly fromNonce: string;
  readonly toNonce: string;
};

/** `challenge`: by the node that was asked; `response`: by the one that began. Neither can stand in for the other. */
type Role = "challenge" | "response";

type Proof = {
  readonly signature: string;
  /** That the node has the key of a fleet; says nothing about the key. */
  readonly fleet?: string;
};

const textOf = (role: Role, transcript: Transcript) =>
  `edge-hive ${role}\n${canonicalJson({ ...transcript })}`;

/** Signs the transcript, and shows that we have the fleet key if we do. */
export function prove(
  by: { readonly node: Pick<Node, "sign">; readonly fleetKey: Uint8Array | undefined },
  role: Role,
  transcript: Transcript,
): Proof {
  const text = textOf(role, transcript);
  const signature = by.node.sign(text);
  return by.fleetKey === undefined
    ? { signature }
    : { signature, fleet: tagOf(by.fleetKey, `fleet ${text}`) };
}

/** Whether this node has signed the transcript in this role. */
export function isProven(
  by: Pick<NodeIdentity, "publicKey">,
  role: Role,
  shown: { readonly transcript: Transcript; readonly signature: unknown },
): boolean {
  const { transcript, signature } = shown;
  return (
    typeof signature === "string" && isSignedBy(by.publicKey, textOf(role, transcript), signature)
  );
}

/** What our fleet key is called where the other side has proven to have it too; undefined where it has not. */
export function fleetOf(
  fleetKey: Uint8Array | undefined,
  role: Role,
  shown: { readonly transcript: Transcript; readonly fleet: unknown },
): string | undefined {
  if (fleetKey === undefined || typeof shown.fleet !== "string") return undefined;
  const wanted = tagOf(fleetKey, `fleet ${textOf(role, shown.transcript)}`);
  return isSame(shown.fleet, wanted) ? fleetTagOf(fleetKey) : undefined;
}

/** Tells fleet keys apart, and says nothing about them. */
export function fleetTagOf(fleetKey: Uint8Array): string {
  return tagOf(fleetKey, "name of the fleet").slice(0, 16);
}
