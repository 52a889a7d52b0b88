import { connectWithKey } from "#src/accounts/direct.ts";
import type { DisconnectDeps } from "#src/accounts/revocation/disconnect.ts";
import { accountById } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { type PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { Failure } from "#src/failure.ts";
import type { FloodGate } from "#src/http/flood-gate.ts";
import { formSender, signOut, signedIn } from "#src/people/sign-in.ts";
import { acceptInvite, expectInvite, inviteOf } from "#src/people/sign-up.ts";
import { languageOf } from "#src/http/language.ts";
import { seeOther } from "./page.ts";
import { disconnectPage, disconnectedPage } from "./disconnect.ts";
import { endGrant } from "#src/oauth-server/grants/consent.ts";
import { bearerPage, homePage } from "./home.ts";
import { endSession, mintSession } from "#src/oauth-server/sessions/session.ts";

export type PersonDeps = App &
  DisconnectDeps & {
    /** Keys that are pasted: for each address, without an invitation, and of all. */
    readonly directGate: FloodGate;
    readonly uninvitedGate: FloodGate;
    readonly allDirectGate: FloodGate;
  };

/** What a person has here: `/`, `/invite`, `/sessions`, `/grants`, `/accounts`, `/sign-out`; and `/api/auth/direct`. */
export function mountPerson(routes: PageRoutes, app: PersonDeps): void {
  routes.get("/invite/:code", async ({ req }) =>
    seeOther("/", [await acceptInvite(app, req.param("code"))]),
  );
  routes.get("/", async ({ req }) => {
    const platform = platformOf(new URL(req.url).searchParams);
    const person = await signedIn(app, req.raw);
    return homePage(app, languageOf(req.raw), {
      person,
      platform,
      hasInvite: inviteOf(req.raw) !== undefined,
    });
  });
  routes.post("/sessions", ({ req }) => createSession(app, req.raw));
  routes.post("/sessions/:id/end", async ({ req }) => {
    const { personId } = await formSender(app, req.raw, await readForm(req.raw));
    await endSession(app, { id: idIn(req.param("id")), personId });
    return seeOther("/");
  });
  routes.post("/grants/:id/end", async ({ req }) => {
    const { personId } = await formSender(app, req.raw, await readForm(req.raw));
    await endGrant(app, { id: idIn(req.param("id")), personId }, "ended_by_person");
    return seeOther("/");
  });
  routes.get("/accounts/:id/disconnect", async ({ req }) => {
    const person = await signedIn(app, req.raw);
    if (person === undefined) throw new Failure("sign_in_needed");
    const asked = { accountId: idIn(req.param("id")), person };
    return await disconnectPage(app, languageOf(req.raw), asked);
  });
  routes.post("/accounts/:id/disconnect", async ({ req }) => {
    const person = await formSender(app, req.raw, await readForm(req.raw));
    const asked = { accountId: idIn(req.param("id")), person };
    return await disconnectedPage(app, languageOf(req.raw), asked);
  });
  routes.post("/sign-out", async ({ req }) => {
    await formSender(app, req.raw, await readForm(req.raw));
    return seeOther("/", [await signOut(app, req.raw)]);
  });
  routes.post("/api/auth/direct", ({ req, env }) => directSession(app, req.raw, env.address()));
}

async function createSession(app: App, request: Request): Promise<Response> {
  const form = await readForm(request);
  const { personId } = await formSender(app, request, form);
  const accountId = idIn(form.get("account") ?? "");
  const minted = await mintSession(app, { personId, accountId, platform: platformOf(form) });
  const account = await accountById(app.db, accountId);
  if (account === undefined) throw new Failure("not_found");
  return bearerPage(app, languageOf(request), { minted, account });
}

/** Mission document 2, "Autenticación directa con API Key". */
async function directSession(
  app: PersonDeps,
  request: Request,
  address: string,
): Promise<Response> {
  app.directGate.pass(address);
  const form = await readForm(request);
  await expectInvited(app, form.get("invite") ?? undefined, address);
  app.allDirectGate.pass("all");
  const { accountId, personId, provider } = await connectWithKey(app, {
    key: form.get("api_key") ?? "",
    provider: form.get("provider") ?? undefined,
    invite: form.get("invite") ?? undefined,
  });
  app.credentials.forget(accountId);
  const minted = await mintSession(app, { personId, accountId, platform: platformOf(form) });
  const session = minted.bearer.reveal();
  return Response.json(
    {
      session_id: session,
      token_type: "Bearer",
      expires_at: minted.expiresAt.toISOString(),
      provider: provider.name,
      mcp_url: `${app.publicUrl}/mcp/${provider.name}`,
    },
    { headers: { "cache-control": "no-store" } },
  );
}

/**
 * Each key costs a question to a provider. An invitation is looked at first; without one a seller may come back who is
 * known here, so some are let through. Failures: `invite_unknown`, `too_many_requests`.
 */
async function expectInvited(
  app: PersonDeps,
  invite: string | undefined,
  address: string,
): Promise<void> {
  if (invite !== undefined) return await expectInvite(app, invite);
  if (app.config.signUp !== "open") app.uninvitedGate.pass(address);
}

function platformOf(form: URLSearchParams): string | null {
  const platform = form.get("platform") ?? "";
  return /^[\w .-]{1,60}$/.test(platform) ? platform : null;
}

/** Failures: `not_found`. */
function idIn(text: string): string {
  const id = readId(text);
  if (id === undefined) throw new Failure("not_found");
  return id;
}
