import type { App } from "#src/app.ts";
import type { Cache } from "#src/cache.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { readScopes } from "../scopes.ts";
import { type Client, fingerprintOf, grantTypes } from "./client.ts";
import { type ClientDocuments, isDocumentId } from "./client-document.ts";
import { type AgentRow, agentByClientId } from "./store.ts";

export type Clients = {
  readonly registered: Cache<Client>;
  /** Clients whose use was noted within the last hour. */
  readonly touched: Cache<true>;
  readonly documents: ClientDocuments;
  /**
   * Somebody at this address is about to name a client: documents that have to be fetched are counted.
   * Failures: `too_many_requests`.
   */
  readonly expect: (clientId: string, address: () => string) => void;
};

/** The client behind an id. Failures: `client_unknown`, `database_unavailable`. */
export async function clientOf(
  app: Pick<App, "db"> & { readonly clients: Clients },
  clientId: string,
): Promise<Client> {
  if (isDocumentId(clientId)) return await app.clients.documents(clientId);
  const found = !/^[\x21-\x7e]{1,200}$/.test(clientId)
    ? undefined
    : await app.clients.registered.get(clientId, () => readClient(app, clientId));
  if (found === undefined) throw new Failure("client_unknown");
  return found;
}

async function readClient(app: Pick<App, "db">, clientId: string): Promise<Client | undefined> {
  const row = await timely(agentByClientId(app.db, clientId));
  return row === undefined ? undefined : clientFromRow(row);
}

function clientFromRow(row: AgentRow): Client {
  return {
    clientId: row.clientId,
    kind: row.kind,
    name: row.name,
    redirectUris: row.redirectUris,
    grantTypes: grantTypes.filter((each) => row.grantTypes.includes(each)),
    authMethods: [row.authMethod],
    secretFingerprint: row.secretFingerprint ?? undefined,
    jwks: row.jwks ?? undefined,
    jwksUri: row.jwksUri ?? undefined,
    scopes: readScopes(row.scope),
    upstreams: row.upstreams ?? undefined,
    agentId: row.id,
    account:
      row.accountId === null || row.provider === null
        ? undefined
        : { id: row.accountId, provider: row.provider },
    agentType: row.agentType ?? undefined,
    agentVersion: row.agentVersion ?? undefined,
    fingerprint: fingerprintOf({ ...row, authMethods: [row.authMethod] }),
  };
}
