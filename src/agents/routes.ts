import type { Credentials } from "#src/accounts/credential.ts";
import { connectWithKey } from "#src/accounts/direct.ts";
import { accountById } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { Failure } from "#src/failure.ts";
import { readForm } from "#src/http/form.ts";
import { formSender, signOut, signedIn } from "#src/people/sign-in.ts";
import { languageOf } from "#src/screens/language.ts";
import { seeOther } from "#src/screens/page.ts";
import { bearerPage, homePage } from "./home-page.ts";
import { type Callers, endSession, mintSession } from "./session.ts";

type Serving = App & { readonly callers: Callers; readonly credentials: Credentials };

/** `/`, `/sessions`, `/sessions/:id/end`, `/sign-out`, `/api/auth/direct`. */
export function mountAgents(routes: PageRoutes, app: Serving): void {
  routes.get("/", async ({ req }) => {
    const platform = platformOf(new URL(req.url).searchParams);
    const person = await signedIn(app, req.raw);
    return homePage(app, languageOf(req.raw), { person, platform });
  });
  routes.post("/sessions", ({ req }) => createSession(app, req.raw));
  routes.post("/sessions/:id/end", async ({ req }) => {
    const { personId } = await formSender(app, req.raw, await readForm(req.raw));
    await endSession(app, { id: sessionId(req.param("id")), personId });
    return seeOther("/");
  });
  routes.post("/sign-out", async ({ req }) => {
    await formSender(app, req.raw, await readForm(req.raw));
    return seeOther("/", [await signOut(app, req.raw)]);
  });
  routes.post("/api/auth/direct", ({ req }) => directSession(app, req.raw));
}

async function createSession(app: Serving, request: Request): Promise<Response> {
  const form = await readForm(request);
  const { personId } = await formSender(app, request, form);
  const accountId = sessionId(form.get("account") ?? "");
  const minted = await mintSession(app, { personId, accountId, platform: platformOf(form) });
  const account = await accountById(app.db, accountId);
  if (account === undefined) throw new Failure("not_found");
  return bearerPage(app, languageOf(request), { minted, account });
}

/** Mission document 2, "Autenticación directa con API Key". */
async function directSession(app: Serving, request: Request): Promise<Response> {
  const form = await readForm(request);
  const { accountId, personId, provider } = await connectWithKey(app, {
    key: form.get("api_key") ?? "",
    provider: form.get("provider") ?? undefined,
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

function platformOf(form: URLSearchParams): string | null {
  const platform = form.get("platform") ?? "";
  return /^[\w .-]{1,60}$/.test(platform) ? platform : null;
}

/** An id as PostgreSQL takes it. Failures: `not_found`. */
function sessionId(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) throw new Failure("not_found");
  return text;
}
