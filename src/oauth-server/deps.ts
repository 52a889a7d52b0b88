import { millisecondsOf } from "#src/clock.ts";
import type { JSONWebKeySet } from "jose";
import { recordEvent } from "#db/events.ts";
import type { App } from "#src/app.ts";
import type { ApplyRevocations } from "#src/bus.ts";
import { createCache } from "#src/cache.ts";
import { createFloodGate } from "#src/http/flood-gate.ts";
import { createSemaphores } from "#src/http/semaphore.ts";
import { createGuardedFetch } from "#src/http/guarded-fetch.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { isLoopbackName } from "#src/http/address.ts";
import { type Callers, createCallers, policyChanged } from "./caller.ts";
import type { Client } from "./clients/client.ts";
import type { Clients } from "./clients/find-client.ts";
import { createClientDocuments } from "./clients/client-document.ts";
import { tokenEndpointAddresses } from "./endpoints.ts";
import { type SigningKeys, createSigningKeys, keysTopic } from "./tokens/signing-keys.ts";

/** For one address. */
const perMinute = {
  registrations: 30,
  devices: 30,
  userCodes: 20,
  connects: 120,
  documents: 120,
  authorizations: 240,
  failures: 300,
  keys: 10,
  keysUninvited: 4,
  /** Of all addresses together. */
  keysInAll: 120,
};

/** What the authorization server keeps in this process; everything that counts is in the database. */
export function createAgentParts(app: App, cutStreams: ApplyRevocations) {
  const now = millisecondsOf(app);
  const guardedFetch = createGuardedFetch({ allowsLoopback: isDevelopmentHere(app) });
  const callers = createCallers(app);
  const registered = createCache<Client>({ freshMs: 5000, staleMs: 60_000, size: 10_000, now });
  const touched = createCache<true>({ freshMs: 3_600_000, staleMs: 0, size: 10_000, now });
  const noteDrift = (subject: string) =>
    recordEvent(app.db, { name: "client_document_drifted", subject }).catch((error: unknown) =>
      app.log.lasting("event_not_stored", errorFields(error)),
    );
  const documents = createClientDocuments(
    { ...app, guardedFetch, noteDrift: (clientId) => void noteDrift(clientId) },
    app.config.clientDocuments,
  );
  const signingKeys = createSigningKeys(app);
  const documentGate = createFloodGate({ perMinute: perMinute.documents, burst: 150, now });
  const counted = createCache<true>({ freshMs: 60_000, staleMs: 0, size: 10_000, now });
  const clients: Clients = {
    registered,
    touched,
    documents,
    expect: (clientId, address) => {
      if (documents.isKnown(clientId)) return;
      const visit = `${address()} ${clientId}`;
      if (counted.fresh(visit) === true) return;
      documentGate.pass(address());
      counted.put(visit, true);
    },
  };
  return {
    guardedFetch,
    callers,
    clients,
    clientKeys: createCache<JSONWebKeySet>({
      freshMs: 300_000,
      staleMs: 86_400_000,
      size: 1000,
      now,
    }),
    tokenEndpoints: tokenEndpointAddresses(app.publicUrl),
    signingKeys,
    registrationGate: createFloodGate({ perMinute: perMinute.registrations, burst: 30, now }),
    authorizeGate: createFloodGate({ perMinute: perMinute.authorizations, burst: 120, now }),
    failureGate: createFloodGate({ perMinute: perMinute.failures, burst: 300, now }),
    proofs: createSemaphores({ atOnce: 16, mostWaiting: 1000, waitMs: 5000 }),
    directGate: createFloodGate({ perMinute: perMinute.keys, burst: 10, now }),
    uninvitedGate: createFloodGate({ perMinute: perMinute.keysUninvited, burst: 4, now }),
    allDirectGate: createFloodGate({ perMinute: perMinute.keysInAll, burst: 60, now }),
    deviceGate: createFloodGate({ perMinute: perMinute.devices, burst: 30, now }),
    userCodeGate: createFloodGate({ perMinute: perMinute.userCodes, burst: 10, now }),
    connectGate: createFloodGate({ perMinute: perMinute.connects, burst: 60, now }),
    applyRevocations: applyRevocations({ callers, clients, signingKeys }, cutStreams),
  };
}

type Known = {
  readonly callers: Callers;
  readonly clients: Clients;
  readonly signingKeys: SigningKeys;
};

function applyRevocations(known: Known, cutStreams: ApplyRevocations): ApplyRevocations {
  return (topics) => {
    const ended = new Set<string>(topics);
    if (ended.has(keysTopic)) known.signingKeys.forget();
    const { callers } = known;
    callers.forgetWhere(({ topics: rests }) => rests.some((subject) => ended.has(subject)));
    if (topics.some((subject) => subject.startsWith(policyChanged("")))) {
      const isTold = (subject: string) => ended.has(policyChanged(subject));
      callers.forgetWhere(({ key, agent }) => isTold(key) || isTold(`agent:${agent}`));
    }
    known.clients.registered.forgetWhere(({ agentId }) => ended.has(`agent:${agentId}`));
    return cutStreams(topics);
  };
}

/** Only there may a client's document be on this very machine. */
function isDevelopmentHere({ config, publicUrl }: App): boolean {
  return !config.isProduction && isLoopbackName(new URL(publicUrl).hostname);
}
