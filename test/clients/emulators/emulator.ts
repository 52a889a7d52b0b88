import type { Proof } from "./proof.ts";

/** What an MCP client does on its way through the authorization of a remote server, as data. */
export type Emulator = {
  readonly name: string;
  /** The address that a person typed into it. */
  readonly typed: (gateway: { readonly port: number }) => string;
  /** In the order of its preference. */
  readonly registrations: readonly Registration[];
  readonly redirectUri: string;
  /** What else it sends to `/authorize`. */
  readonly asks: Readonly<Record<string, string>>;
  /** On which legs it names the resource (RFC 8707). */
  readonly namesResource: {
    readonly authorize: boolean;
    readonly code: boolean;
    readonly refresh: boolean;
  };
  /** It names its scopes again when it refreshes. */
  readonly repeatsScope: boolean;
  /** What it insists on beyond what every client checks. */
  readonly insistsOn: readonly Insistence[];
  readonly metadata: "oauth-authorization-server" | "openid-configuration";
  /** The revision of its `initialize`; undefined when it speaks the modern protocol alone. */
  readonly legacy: "2024-11-05" | "2025-03-26" | "2025-06-18" | "2025-11-25" | undefined;
  /** Whether it asks for 2026-07-28 first. */
  readonly isModern: boolean;
  /** A person carries the code over by hand. */
  readonly minutesUntilCode: number;
};

export type Registration =
  /** A person has typed an id, and a secret, that the operator gave them. */
  | {
      readonly way: "configured";
      readonly clientId: string;
      readonly secret: string | undefined;
      readonly proof: Proof;
    }
  | { readonly way: "document"; readonly clientId: string; readonly proof: Proof }
  | {
      readonly way: "dynamic";
      readonly metadata: Readonly<Record<string, unknown>>;
      readonly proof: Proof;
    };

export type Insistence =
  | "iss in the answer"
  | "iss announced for its document"
  | "an authorization endpoint of the same origin, or iss announced";

/** A document that is the client's id. */
export function byDocument(clientId: string, proof: Proof): Registration {
  return { way: "document", clientId, proof };
}

export function byRegistration(
  metadata: Readonly<Record<string, unknown>>,
  proof: Proof,
): Registration {
  return { way: "dynamic", metadata, proof };
}

/** What most clients have in common. */
export const usual = {
  typed: ({ port }) => `http://localhost:${port}/mcp`,
  asks: {},
  namesResource: { authorize: true, code: true, refresh: true },
  repeatsScope: false,
  insistsOn: [],
  metadata: "oauth-authorization-server",
  legacy: "2025-11-25",
  isModern: false,
  minutesUntilCode: 0,
} as const satisfies Partial<Emulator>;
