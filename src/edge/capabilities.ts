import { cpus, freemem, loadavg, totalmem } from "node:os";
import type { App } from "#src/app.ts";
import { isOwnName } from "#src/config/edge.ts";
import { isObject, objectIn, canonicalJson } from "#src/json.ts";
import { isSignedBy } from "#src/crypto/node-key.ts";
import { version } from "#src/runtime/runtime.ts";
import { type Node, type NodeIdentity, identityOf } from "./identity.ts";

/** What a node says about itself; signed, so that whoever passes it on cannot change it. */
export type CapabilityDocument = {
  readonly node_id: string;
  readonly peer_id: string;
  /** Ed25519, base64url. */
  readonly public_key: string;
  readonly capabilities: {
    readonly mcp: {
      readonly version: string;
      readonly https_endpoint: string;
      /** Of the node's own MCP server. */
      readonly supported_tools: readonly string[];
      readonly supported_resources: readonly string[];
    };
    /** Absent where libp2p is off. */
    readonly p2p?: {
      readonly protocols: readonly string[];
      readonly listen_addrs: readonly string[];
    };
  };
  readonly metadata: {
    readonly name: string;
    readonly version: string;
    readonly platform: string;
    /** Seconds. */
    readonly uptime: number;
    /** Percent of the machine. */
    readonly load: { readonly cpu: number; readonly memory: number };
  };
  readonly authentication: {
    readonly oauth2_enabled: boolean;
    readonly token_endpoint: string;
    readonly supported_flows: readonly string[];
  };
  readonly issued_at: string;
  readonly expires_at: string;
  /** Ed25519 over the purpose and the canonical JSON of everything else, base64url. */
  readonly signature: string;
};

const goodForMs = 5 * 60_000;
const mostCharacters = 16 * 1024;
/** Clocks of nodes differ. */
const leewayMs = 60_000;
const purpose = "edge-hive capabilities\n";

/** What a node can say about itself. */
export type Capabilities = {
  /** What its operator calls it. */
  readonly name?: string | undefined;
  /** Milliseconds. */
  readonly startedAt: number;
  /** Multiaddrs; none where libp2p is off. */
  readonly listenAddresses: readonly string[];
  readonly tools: readonly string[];
  readonly resources: readonly string[];
};

const protocols = ["/libp2p/kad/1.0.0", "/noise", "/yamux/1.0.0", "/edge-hive/node/1.0.0"];
const mostAddresses = 16;

/** The node's own document, good for five minutes. */
export function capabilitiesOf(
  app: Pick<App, "now" | "publicUrl">,
  node: Node,
  { name, startedAt, listenAddresses, tools, resources }: Capabilities,
): CapabilityDocument {
  const now = app.now().getTime();
  const place = `/mcp/node/${node.nodeId}`;
  const document = {
    node_id: node.nodeId,
    peer_id: node.peerId,
    public_key: node.publicKey,
    capabilities: {
      mcp: {
        version: "2026-07-28",
        https_endpoint: `${app.publicUrl}${place}`,
        supported_tools: tools,
        supported_resources: resources,
      },
      ...(listenAddresses.length === 0
        ? {}
        : { p2p: { protocols, listen_addrs: listenAddresses.slice(0, mostAddresses) } }),
    },
    metadata: {
      name: name ?? node.nodeId,
      version: version.number,
      platform: `${process.platform}-${process.arch}`,
      uptime: Math.floor((now - startedAt) / 1000),
      load: loadNow(),
    },
    authentication: {
      oauth2_enabled: true,
      token_endpoint: `${place}/auth/token`,
      supported_flows: ["client_credentials"],
    },
    issued_at: new Date(now).toISOString(),
    expires_at: new Date(now + goodForMs).toISOString(),
  };
  return { ...document, signature: node.sign(purpose + canonicalJson(document)) };
}

function loadNow(): { readonly cpu: number; readonly memory: number } {
  const percent = (share: number) => Math.min(Math.round(share * 100), 100);
  const [lastMinute = 0] = loadavg();
  return {
    cpu: percent(lastMinute / Math.max(cpus().length, 1)),
    memory: percent(1 - freemem() / totalmem()),
  };
}

/** A document that its node has signed; what it says is that node's word, and no more. */
type ReadDocument = {
  readonly identity: NodeIdentity;
  readonly document: Readonly<Record<string, unknown>>;
  readonly expiresAt: Date;
};

/**
 * Reads another node's document: its names have to be those of its key, and the key has to have signed it.
 * Undefined for everything else: too long, malformed, altered, over, or good for longer than one may be.
 */
export function readCapabilities(text: string, now: Date): ReadDocument | undefined {
  const whole = text.length > mostCharacters ? undefined : objectIn(text);
  const { signature, ...document } = whole ?? {};
  const identity = identityIn(document);
  const expiresAt = endOf(document, now);
  if (identity === undefined || expiresAt === undefined) return undefined;
  const plain = canonicalJson(document);
  // What PostgreSQL does not keep is nothing that a node has to say.
  if (plain.includes("\\u0000") || !plain.isWellFormed()) return undefined;
  const said = purpose + plain;
  const isSigned = typeof signature === "string" && isSignedBy(identity.publicKey, said, signature);
  return isSigned ? { identity, document, expiresAt } : undefined;
}

type Said = Readonly<Record<string, unknown>>;

/** Undefined when the names are not those of the key. */
function identityIn({ public_key: key, node_id: nodeId, peer_id: peerId }: Said) {
  if (typeof key !== "string" || !/^[\w-]{43}$/.test(key)) return undefined;
  const identity = identityOf(key);
  return identity.nodeId === nodeId && identity.peerId === peerId ? identity : undefined;
}

/** Until when it is good; undefined when it is not good now, or for longer than a document may be. */
function endOf({ issued_at: begin, expires_at: end }: Said, now: Date): Date | undefined {
  const [issuedAt, expiresAt] = [dateIn(begin), dateIn(end)];
  if (issuedAt === undefined || expiresAt === undefined) return undefined;
  const isNow =
    issuedAt.getTime() <= now.getTime() + leewayMs && expiresAt.getTime() > now.getTime();
  return isNow && expiresAt.getTime() - issuedAt.getTime() <= goodForMs ? expiresAt : undefined;
}

function dateIn(value: unknown): Date | undefined {
  const date = new Date(typeof value === "string" ? value : "");
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** A version in the usual letters, 40 at most; undefined for everything else. */
export function plainVersion(said: unknown): string | undefined {
  return typeof said === "string" && /^[\w.+-]{1,40}$/.test(said) ? said : undefined;
}

/** What a node says that it is called; undefined for what is no name of that kind. */
export function plainName(said: unknown): string | undefined {
  return typeof said === "string" && isOwnName(said) ? said : undefined;
}

/** The name that a document gives its node, beside the one that comes from its key. */
export function nameIn({ metadata }: Said): string | undefined {
  return plainName(isObject(metadata) ? metadata["name"] : undefined);
}

/** The version that a document names. */
export function versionIn({ metadata }: Said): string | undefined {
  return plainVersion(isObject(metadata) ? metadata["version"] : undefined);
}
