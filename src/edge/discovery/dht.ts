import { millisecondsOf } from "#src/clock.ts";
import type { PeerId } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { isObject } from "#src/json.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type CapabilityDocument, nameIn, readCapabilities, versionIn } from "../capabilities.ts";
import type { OwnNode } from "../identity.ts";
import type { Directory } from "./directory.ts";
import type { DiscoveryBackend } from "./backend.ts";
import { askDocument, documentProtocol, sendDocument } from "./document-stream.ts";
import {
  type Host,
  findNodes,
  findPeer,
  join,
  provideSelf,
  remoteIp,
  startHost,
} from "./libp2p.ts";

const everyMs = 60_000;
const [roundMs, seekMs] = [20_000, 8000];
/** However many there are, so many are asked in one round, and so many at a time. */
const mostAsked = 32;
const mostAtOnce = 8;
const [rememberedMs, dialMs] = [60_000, 5000];

type Deps = Pick<App, "log" | "now">;

/**
 * Finds nodes through Kademlia. Who says to be a node is asked for its document over the connection that Noise
 * has authenticated; addresses that strangers spread are dialled by libp2p alone, never over HTTP.
 */
export async function openDht(
  app: Deps,
  node: Pick<OwnNode, "seed">,
  options: {
    readonly directory: Directory;
    readonly document: () => CapabilityDocument;
    readonly listen: readonly string[];
    readonly bootstrap: readonly string[];
    readonly home: string;
  },
): Promise<DiscoveryBackend> {
  const host = await startHost(node, options);
  const ask = createAsking(app, host, options.directory);

  await host.handle(documentProtocol, (stream) => {
    sendDocument(stream, options.document()).catch(() => undefined);
  });
  host.addEventListener("peer:identify", ({ detail }) => {
    if (detail.protocols.includes(documentProtocol)) void ask(detail.peerId);
  });

  const rounds = createRounds(app, host, { bootstrap: options.bootstrap, ask });
  rounds.run();
  const timer = setInterval(() => rounds.run(), everyMs).unref();
  return {
    name: "libp2p",
    announce: () => rounds.run(),
    addresses: () => host.getMultiaddrs().map(String),
    seek: async (peerId) => {
      const found = await findPeer(host, peerId, AbortSignal.timeout(seekMs)).catch(
        () => undefined,
      );
      if (found === undefined) return false;
      await ask(peerIdFromString(peerId), true);
      await options.directory.flush();
      return true;
    },
    stop: async () => {
      clearInterval(timer);
      rounds.stop();
      await host.stop();
    },
  };
}

/** Asks a node for its document, over the connection that Noise has authenticated. */
function createAsking(app: Deps, host: Host, directory: Directory) {
  const now = millisecondsOf(app);
  const asked = createCache<true>({ freshMs: rememberedMs, staleMs: 0, size: 1000, now });
  let atOnce = 0;

  async function askOne(id: PeerId): Promise<void> {
    const connection = await host.dial(id, { signal: AbortSignal.timeout(dialMs) });
    const read = readCapabilities(await askDocument(connection), app.now());
    if (read?.identity.peerId !== connection.remotePeer.toString()) return;
    directory.met({
      ...read.identity,
      origins: originsIn(read.document),
      from: remoteIp(connection),
      via: "libp2p",
      version: versionIn(read.document),
      name: nameIn(read.document),
    });
  }

  /** `isWanted`: somebody waits for it, however lately it was asked. */
  return async (id: PeerId, isWanted = false): Promise<void> => {
    const name = id.toString();
    if ((asked.fresh(name) === true && !isWanted) || atOnce >= mostAtOnce) return;
    asked.put(name, true);
    atOnce += 1;
    await askOne(id).catch((error: unknown) =>
      app.log.debug("node_not_asked", { peerId: name, ...errorFields(error) }),
    );
    atOnce -= 1;
  };
}

/** Joins, lets itself be found, and looks who is there; one round at a time. */
function createRounds(
  app: Deps,
  host: Host,
  { bootstrap, ask }: { bootstrap: readonly string[]; ask: (id: PeerId) => Promise<void> },
) {
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  const round = async () => {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(roundMs)]);
    if (host.getConnections().length === 0 && bootstrap.length > 0) {
      if ((await join(host, bootstrap)) === 0) app.log.warn("libp2p_alone", {});
    }
    await provideSelf(host, signal).catch(() => undefined);
    const found = await findNodes(host, { most: mostAsked, signal });
    for (let at = 0; at < found.length; at += mostAtOnce) {
      await Promise.all(found.slice(at, at + mostAtOnce).map((id) => ask(id)));
    }
  };
  return {
    run: () => {
      running ??= round()
        .catch((error: unknown) => app.log.warn("libp2p_round_failed", errorFields(error)))
        .finally(() => {
          running = undefined;
        });
    },
    stop: () => stopping.abort(),
  };
}

/** The origin of the MCP address that a document names. */
function originsIn({ capabilities }: Readonly<Record<string, unknown>>): readonly string[] {
  const mcp = isObject(capabilities) ? capabilities["mcp"] : undefined;
  const endpoint = isObject(mcp) ? mcp["https_endpoint"] : undefined;
  return typeof endpoint === "string" && URL.canParse(endpoint) ? [new URL(endpoint).origin] : [];
}
