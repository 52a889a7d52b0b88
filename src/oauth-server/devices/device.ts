import { randomInt } from "node:crypto";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { fingerprint, newToken, tagOf } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { authenticatedClient } from "../clients/authenticate.ts";
import { expectField } from "../fields.ts";
import { type TokenAnswer, firstRefreshToken, tokensOfGrant } from "../tokens/issue.ts";
import { scopesFor, personsResource } from "../grants/authorization-request.ts";
import { grantById } from "../grants/store.ts";
import type { GrantDeps, TokenRequest } from "../grants/deps.ts";
import { type DeviceCode, pollDevice, redeemDevice, saveDeviceCode } from "./store.ts";

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
const lifetimeSeconds = 15 * 60;
const intervalSeconds = 5;
/** No vowels, so that no words come out; nothing that is read in two ways (RFC 8628 section 6.1). */
const alphabet = "BCDFGHJKLMNPQRSTVWXZ";
const codeLength = 8;

/** What a device shows its person (RFC 8628 section 3.2). Failures: those of a token request. */
export async function authorizeDevice(
  app: GrantDeps,
  request: Request,
  form: URLSearchParams,
): Promise<Readonly<Record<string, string | number>>> {
  const client = await authenticatedClient(app, request, form);
  if (!client.grantTypes.includes(deviceGrant)) throw new Failure("unauthorized_client");
  const { url } = personsResource(app, client, form.getAll("resource"));
  const now = app.now();
  const deviceCode = newToken("device").reveal();
  const userCode = newUserCode();
  await saveDeviceCode(app.db, {
    id: newId(now),
    deviceFingerprint: fingerprint(deviceCode),
    userFingerprint: userCodeFingerprint(app, userCode),
    clientId: client.clientId,
    resource: url,
    scope: scopesFor(client, form.get("scope")).join(" "),
    intervalSeconds,
    expiresAt: new Date(now.getTime() + lifetimeSeconds * 1000),
  });
  const shown = shownUserCode(userCode);
  return {
    device_code: deviceCode,
    user_code: shown,
    verification_uri: `${app.publicUrl}/device`,
    verification_uri_complete: `${app.publicUrl}/device?user_code=${shown}`,
    expires_in: lifetimeSeconds,
    interval: intervalSeconds,
  };
}

function newUserCode(): string {
  return Array.from({ length: codeLength }, () => alphabet[randomInt(alphabet.length)]).join("");
}

/** As it is shown: in two halves. */
export function shownUserCode(code: string): string {
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}

/** As a person types it: in any case, with or without the dash. Undefined when it cannot be one. */
export function readUserCode(text: string): string | undefined {
  const code = text.toUpperCase().replace(/[\s-]/g, "");
  return new RegExp(`^[${alphabet}]{${codeLength}}$`).test(code) ? code : undefined;
}

/** Keyed: eight letters could be guessed from a plain hash. */
export function userCodeFingerprint(app: Pick<App, "bindingKey">, code: string): Uint8Array {
  return fingerprint(tagOf(app.bindingKey, `user code ${code}`));
}

/**
 * A device asks how it stands (RFC 8628 section 3.4).
 * Failures: `invalid_request`, `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`.
 */
export async function redeemDeviceCode(
  app: GrantDeps,
  { client, form }: TokenRequest,
): Promise<TokenAnswer> {
  const now = app.now();
  const key = fingerprint(expectField(form, "device_code"));
  const device = await pollDevice(app.db, { fingerprint: key, clientId: client.clientId, now });
  const approved = approvedGrant(device, now);
  const grant = await grantById(app.db, approved.grantId);
  const refresh = firstRefreshToken(client, now);
  const isOurs =
    grant !== undefined &&
    (await redeemDevice(app.db, { ...approved, refresh: refresh?.row, now }));
  if (!isOurs) throw new Failure("invalid_grant");
  return await tokensOfGrant(app, grant, { client, refresh: refresh?.token });
}

type Polled = DeviceCode & { readonly isTooSoon: boolean };

function approvedGrant(device: Polled | undefined, now: Date): { id: string; grantId: string } {
  if (device === undefined || device.state === "used") throw new Failure("invalid_grant");
  if (device.expiresAt <= now) throw new Failure("expired_token");
  if (device.state === "denied") throw new Failure("access_denied");
  if (device.isTooSoon) throw new Failure("slow_down");
  if (device.grantId === null) throw new Failure("authorization_pending");
  return { id: device.id, grantId: device.grantId };
}
