import type { JSONWebKeySet } from "jose";
import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { createFloodGate } from "#src/http/flood-gate.ts";
import { createGuardedFetch } from "#src/http/guarded-fetch.ts";
import { type Callers, createCallers } from "./caller.ts";
import type { Client } from "./clients/client.ts";
import type { Clients } from "./clients/find-client.ts";
import { createClientDocuments } from "./clients/client-document.ts";
import type { LetGo } from "./endings.ts";
import { tokenEndpointAddresses } from "./endpoints.ts";
import { isLoopbackName } from "./resource.ts";
import { type SigningKeys, createSigningKeys, keysSubject } from "./tokens/signing-keys.ts";

/** For one address. */
const [registrationsPerMinute, devicesPerMinute, userCodesPerMinute] = [30, 30, 20];

/** What the authorization server keeps in this process; everything that counts is in the database. */
export function createAgentParts(app: App, cutStreams: LetGo) {
  const now = () => app.now().getTime();
  const guardedFetch = createGuardedFetch({ allowsLoopback: isDevelopmentHere(app) });
  const callers = createCallers(app);
  const registered = createCache<Client>({ freshMs: 5000, staleMs: 60_000, size: 10_000, now });
  const touched = createCache<true>({ freshMs: 3_600_000, staleMs: 0, size: 10_000, now });
  const documents = createClientDocuments({ ...app, guardedFetch }, app.config.clientDocuments);
  const signingKeys = createSigningKeys(app);
  const clients: Clients = { registered, touched, documents };
  return {
    guardedFetch,
    callers,
    clients,
    clientKeys: createCache<JSONWebKeySet>({ freshMs: 300_000, staleMs: 0, size: 200, now }),
    tokenEndpoints: tokenEndpointAddresses(app.publicUrl),
    signingKeys,
    registrationGate: createFloodGate({ perMinute: registrationsPerMinute, burst: 30, now }),
    deviceGate: createFloodGate({ perMinute: devicesPerMinute, burst: 30, now }),
    userCodeGate: createFloodGate({ perMinute: userCodesPerMinute, burst: 10, now }),
    letGo: letGo({ callers, clients, signingKeys }, cutStreams),
  };
}

type Known = {
  readonly callers: Callers;
  readonly clients: Clients;
  readonly signingKeys: SigningKeys;
};

function letGo(known: Known, cutStreams: LetGo): LetGo {
  return (subjects) => {
    const ended = new Set(subjects);
    if (ended.has(keysSubject)) known.signingKeys.forget();
    known.callers.forgetWhere((caller) => caller.subjects.some((subject) => ended.has(subject)));
    known.clients.registered.forgetWhere(({ agentId }) => ended.has(`agent:${agentId}`));
    cutStreams(subjects);
  };
}

/** Only there may a client's document be on this very machine. */
function isDevelopmentHere({ config, publicUrl }: App): boolean {
  return !config.isProduction && isLoopbackName(new URL(publicUrl).hostname);
}
