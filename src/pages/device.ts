import type { Account } from "#src/accounts/store.ts";
import { html } from "hono/html";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import type { FloodGate } from "#src/http/flood-gate.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { atPublicUrl } from "#src/http/public-url.ts";
import { type SignedIn, formSender, signedIn } from "#src/people/sign-in.ts";
import { type Language, languageOf } from "#src/http/language.ts";
import { page, seeOther } from "./page.ts";
import { say } from "./words.ts";
import { type Clients, clientOf } from "#src/oauth-server/clients/find-client.ts";
import { resourceOf } from "#src/oauth-server/resource.ts";
import { readScopes } from "#src/oauth-server/scopes.ts";
import {
  type Answer,
  accountsFor,
  checkConsentToken,
  consentToken,
  grantFrom,
} from "#src/oauth-server/grants/consent.ts";
import { connectPage, consentPage } from "./consent.ts";
import { type StopDeps, letGoOn, stopNotice } from "./stops.ts";
import {
  readUserCode,
  shownUserCode,
  userCodeFingerprint,
} from "#src/oauth-server/devices/device.ts";
import { type DeviceCode, decideDevice, waitingDevice } from "#src/oauth-server/devices/store.ts";

export type DeviceDeps = App &
  StopDeps & {
    readonly clients: Clients;
    /** Eight letters are not many: who tries them is slowed down. */
    readonly userCodeGate: FloodGate;
  };

/** `/device`: a person types the code of a device, sees who asks, and decides (RFC 8628 section 3.3). */
export function mountDevice(routes: PageRoutes, app: DeviceDeps): void {
  routes.get("/device", ({ req, env }) => show(app, req.raw, env.address()));
  routes.post("/device", async ({ req }) => {
    const code = readUserCode((await readForm(req.raw)).get("user_code") ?? "");
    if (code === undefined) throw new Failure("device_code_unknown", undefined, again);
    return seeOther(`/device?user_code=${shownUserCode(code)}`);
  });
  routes.post("/device/decision", ({ req, env }) => decide(app, req.raw, env.address()));
}

const again = { link: "/device" };

async function show(app: DeviceDeps, request: Request, address: string): Promise<Response> {
  const atHome = atPublicUrl(app.publicUrl, request);
  if (atHome !== undefined) return seeOther(atHome);
  const language = languageOf(request);
  const typed = new URL(request.url).searchParams.get("user_code");
  if (typed === null) return await codePage(language);
  const { code, device, asked } = await deviceBehind(app, typed, address);
  const continueTo = `/device?user_code=${shownUserCode(code)}`;
  const person = await signedIn(app, request);
  const accounts = await accountsFor(app, person, asked.resource.upstream);
  if (person === undefined || accounts.length === 0) {
    return await connectPage(app, language, { ...asked, continueTo, person });
  }
  const { notice } = await stopNotice(app, language, { asked, person, accounts });
  return await consentPage(app, language, {
    ...asked,
    continueTo,
    person,
    accounts,
    notice: html`<p class="warn box">${say(language, "device_check")}</p>
      <p class="code">${shownUserCode(code)}</p>
      ${notice ?? ""}`,
    action: "/device/decision",
    fields: { user_code: shownUserCode(code), consent: consentToken(app, person, device.id) },
  });
}

async function decide(app: DeviceDeps, request: Request, address: string): Promise<Response> {
  const form = await readForm(request);
  const person = await formSender(app, request, form);
  const language = languageOf(request);
  const { device, asked } = await deviceBehind(app, form.get("user_code") ?? "", address);
  checkConsentToken(app, person, { token: form.get("consent") ?? "", about: device.id });
  const isAllowed = form.get("decision") === "allow";
  const accounts = await accountsFor(app, person, asked.resource.upstream);
  const account = accounts.find(({ id }) => id === form.get("account"));
  const now = app.now();
  const by = isAllowed ? answerFrom(form, person, account) : undefined;
  const grant = by && grantFrom(asked, { ...by, id: newId(now) });
  if (by !== undefined) await letGoOn(app, asked, by);
  if (!(await decideDevice(app.db, { id: device.id, grant, now }))) {
    throw new Failure("device_code_unknown", undefined, again);
  }
  const outcome = isAllowed ? "device_allowed" : "device_denied";
  app.log.info(outcome, { clientId: device.clientId });
  const body = html`<p>${say(language, outcome, { client: asked.client.name })}</p>
    <p><a href="/">${say(language, "back")}</a></p>`;
  return await page(language, say(language, `${outcome}_title`), body, { isPrivate: true });
}

/** Failures: `account_gone`. */
function answerFrom(form: URLSearchParams, person: SignedIn, account: Account | undefined): Answer {
  if (account === undefined) throw new Failure("account_gone", undefined, again);
  return { person, account, onlyReading: form.get("only_reading") === "yes" };
}

/** Failures: `too_many_requests`, `device_code_unknown`, `client_unknown`, `invalid_target`. */
async function deviceBehind(app: DeviceDeps, typed: string, address: string) {
  app.userCodeGate.pass(address);
  const code = readUserCode(typed);
  const device = code === undefined ? undefined : await findDevice(app, code);
  if (code === undefined || device === undefined) {
    throw new Failure("device_code_unknown", undefined, again);
  }
  const client = await clientOf(app, device.clientId);
  const resource = resourceOf(app, [device.resource]);
  return { code, device, asked: { client, resource, scopes: readScopes(device.scope) } };
}

function findDevice(app: DeviceDeps, code: string): Promise<DeviceCode | undefined> {
  return waitingDevice(app.db, userCodeFingerprint(app, code), app.now());
}

function codePage(language: Language): Promise<Response> {
  const body = html`<p id="lead">${say(language, "device_lead")}</p>
    <form method="post" action="/device" class="block">
      <label
        >${say(language, "device_code")}
        <input
          type="text"
          name="user_code"
          required
          maxlength="12"
          autocomplete="off"
          autocapitalize="characters"
          spellcheck="false"
          aria-describedby="lead"
      /></label>
      <button>${say(language, "go_on")}</button>
    </form>`;
  return page(language, say(language, "device_title"), body, { isPrivate: true });
}
