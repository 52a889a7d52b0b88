import * as oauth from "oauth4webapi";
import { Failure, asFailure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { columns, openColumn, openHeld } from "../credential.ts";
import { authenticationOf } from "../provider-client.ts";
import type { RefreshDeps } from "../refresh/deps.ts";
import { renew } from "../refresh/renew.ts";
import { mostOpenAttempts } from "../refresh/store.ts";
import type { Registration } from "../registration.ts";
import { type ReadAccount, accountById } from "../store.ts";

/** What became of an account's access at its provider. */
export type TakenBack =
  /** The provider has confirmed it. */
  | "taken_back"
  /** The provider had ended it before. */
  | "already_gone"
  /** The provider has no way for it, or we hold nothing that it would accept: the person has to do it there. */
  | "by_hand";

const succeeded = new Set([200, 202, 204, 404, 410]);

/**
 * Takes access back at the provider, as its profile says. Failures: `provider_busy` and what else is worth
 * another try.
 */
export async function takeBack(
  app: RefreshDeps,
  account: ReadAccount,
  registration: Registration,
): Promise<TakenBack> {
  const { revocation } = registration.provider;
  if (account.kind === "static" || revocation === undefined) return "by_hand";
  if (revocation.how === "by_hand") return "by_hand";
  return revocation.how === "rfc7009"
    ? await revokeToken(app, account, { registration, url: revocation.url })
    : await deleteConnection(app, account, { registration, url: revocation.url });
}

type RevocationRequest = { readonly registration: Registration; readonly url: string };

/** RFC 7009 section 2.1. The refresh token goes, and the access tokens of its grant with it; or the only token there is. */
async function revokeToken(
  app: RefreshDeps,
  account: ReadAccount,
  { registration, url }: RevocationRequest,
): Promise<TakenBack> {
  const { clientId, provider } = registration;
  const field = account.refreshToken === null ? "accessToken" : "refreshToken";
  const server = { issuer: provider.issuer ?? new URL(url).origin, revocation_endpoint: url };
  const response = await oauth.revocationRequest(
    server,
    { client_id: clientId },
    authenticationOf(registration),
    openColumn(app, account, field).reveal(),
    {
      additionalParameters: { token_type_hint: columns[field] },
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: async (
        address: string,
        request: oauth.CustomFetchOptions<"POST", URLSearchParams>,
      ) => {
        const { status } = await app.outbound(address, {
          ...request,
          body: request.body.toString(),
        });
        return new Response(null, { status });
      },
    },
  );
  if (!succeeded.has(response.status)) throw refused(response.status);
  return "taken_back";
}

/** Mercado Libre: DELETE with the person's own live access token; a dead one is renewed first. */
async function deleteConnection(
  app: RefreshDeps,
  account: ReadAccount,
  { registration, url }: RevocationRequest,
): Promise<TakenBack> {
  const address = url
    .replace("{seller}", encodeURIComponent(account.sellerId))
    .replace("{client}", encodeURIComponent(registration.clientId));
  const held = openHeld(app, account);
  if (held.expiresAt > app.now().getTime()) {
    const status = await sendDelete(app, address, held.access.reveal());
    if (status !== 401) return confirmed(status);
  }
  const renewed = await renew(app, held, { requestId: "revocation" }).catch((error: unknown) =>
    goneOr(app, account, error),
  );
  if (typeof renewed === "string") return renewed;
  return confirmed(await sendDelete(app, address, renewed.access.reveal()));
}

async function sendDelete(app: RefreshDeps, url: string, access: string): Promise<number> {
  const headers = { accept: "application/json", authorization: `Bearer ${access}` };
  return (await app.outbound(url, { method: "DELETE", headers })).status;
}

function confirmed(status: number): TakenBack {
  if (!succeeded.has(status)) throw refused(status);
  return "taken_back";
}

/** A refresh token that the provider calls dead needs no taking back; one in doubt may still live. */
async function goneOr(app: RefreshDeps, { id }: ReadAccount, error: unknown): Promise<TakenBack> {
  if (asFailure(error).code !== "reconnect_needed") throw error;
  const account = await timely(accountById(app.db, id));
  return (account?.intents ?? 0) >= mostOpenAttempts ? "by_hand" : "already_gone";
}

function refused(status: number): Failure {
  return new Failure("provider_busy", `The provider answered ${status}`, {
    hint: `http_${status}`,
  });
}
