import { randomUUID } from "node:crypto";
import type { App } from "#src/app.ts";
import { type Secret, fingerprint, newToken } from "#src/crypto/secret.ts";
import { membersOf } from "#src/telemetry/log.ts";
import { cleaned } from "#src/telemetry/redact.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { Client } from "../clients/client.ts";
import type { Clients } from "../clients/find-client.ts";
import { touchAgent } from "../clients/store.ts";
import { policyKeyOf } from "../grants/consent.ts";
import type { Grant } from "../grants/store.ts";
import { type Scope, readScopes } from "../scopes.ts";
import { accessTokenSeconds, signAccessToken } from "./access-token.ts";
import type { SigningKeys } from "./signing-keys.ts";

export type TokenDeps = Pick<App, "db" | "now" | "log" | "publicUrl"> & {
  readonly signingKeys: SigningKeys;
  readonly clients: Clients;
  /** What is used of the budgets of whom a token is for, as far as this process knows. */
  readonly budgetNotes: (owner: BudgetOwner) => readonly object[];
};

export type BudgetOwner = {
  /** As `Caller.key`. */
  readonly key: string;
  readonly accountId: string | undefined;
};

/** RFC 6749 section 5.1. */
export type TokenAnswer = {
  readonly access_token: string;
  readonly token_type: "Bearer";
  readonly expires_in: number;
  readonly scope: string;
  readonly refresh_token?: string;
  /** Of ours: `of`, `period`, `limit`, `used`, `resetsAt`; absent without budgets. */
  readonly budgets?: readonly object[];
};

const refreshDays = 60;

/** A refresh token ends 60 days after it was handed out and not used. */
export function refreshExpiry(now: Date): Date {
  return new Date(now.getTime() + refreshDays * 86_400_000);
}

/** The first refresh token of a grant, and how it is kept; undefined for clients that take none. */
export function firstRefreshToken(client: Client, now: Date) {
  if (!client.grantTypes.includes("refresh_token")) return undefined;
  const token = newToken("refresh");
  return {
    token,
    row: {
      fingerprint: fingerprint(token.reveal()),
      predecessor: null,
      expiresAt: refreshExpiry(now),
    },
  };
}

export function newTokenId(): string {
  return randomUUID();
}

/** The tokens of a person's grant. Scopes may be narrower than the grant's. */
export async function tokensOfGrant(
  app: TokenDeps,
  grant: Grant,
  made: {
    readonly client: Client;
    readonly refresh: Secret | undefined;
    readonly scopes?: readonly Scope[];
    readonly tokenId?: string;
    readonly issuedAt?: Date;
  },
): Promise<TokenAnswer> {
  const { client, refresh } = made;
  const scopes = made.scopes ?? readScopes(grant.scope);
  const answer = await tokenAnswer(app, client, {
    subject: grant.personId,
    audience: grant.resource,
    scopes,
    basis: `grant:${grant.id}`,
    policyKey: policyKeyOf(grant),
    accountId: grant.accountId,
    tokenId: made.tokenId ?? newTokenId(),
    issuedAt: made.issuedAt ?? app.now(),
  });
  return refresh === undefined ? answer : { ...answer, refresh_token: refresh.reveal() };
}

export async function tokenAnswer(
  app: TokenDeps,
  client: Client,
  claims: {
    readonly subject: string;
    readonly audience: string;
    readonly scopes: readonly Scope[];
    readonly basis: string;
    /** What budgets go by, where that is something else than the basis. */
    readonly policyKey?: string;
    readonly accountId: string | undefined;
    readonly tokenId: string;
    readonly issuedAt: Date;
  },
): Promise<TokenAnswer> {
  const { clientId, agentType, agentVersion } = client;
  const accessToken = await signAccessToken(app, { ...claims, clientId, agentType, agentVersion });
  noteUse(app, client);
  const facts = membersOf({ clientId: cleaned(clientId), basis: claims.basis });
  app.log.redacted("info", "token_issued", facts, app.now().getTime());
  const budgets = app.budgetNotes({
    key: claims.policyKey ?? claims.basis,
    accountId: claims.accountId,
  });
  return {
    ...(budgets.length === 0 ? {} : { budgets }),
    access_token: accessToken,
    token_type: "Bearer",
    expires_in: accessTokenSeconds,
    scope: claims.scopes.join(" "),
  };
}

/** Beside the answer: it only keeps the client from being forgotten as unused. */
function noteUse(app: TokenDeps, { agentId, clientId }: Client): void {
  if (agentId === undefined || app.clients.touched.fresh(clientId) === true) return;
  app.clients.touched.put(clientId, true);
  touchAgent(app.db, agentId, app.now()).catch((error: unknown) => {
    app.clients.touched.forget(clientId);
    app.log.lasting("client_use_not_noted", errorFields(error));
  });
}
