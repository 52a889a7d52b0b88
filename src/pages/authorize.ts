import type { Account } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import type { FloodGate } from "#src/http/flood-gate.ts";
import { type PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { atPublicUrl } from "#src/http/public-url.ts";
import { type SignedIn, formSender, signedIn } from "#src/people/sign-in.ts";
import { languageOf } from "#src/http/language.ts";
import { seeOther } from "./page.ts";
import type { Clients } from "#src/oauth-server/clients/find-client.ts";
import {
  type AuthorizationRequest,
  type ProvenRedirect,
  answerAddress,
  failureAddress,
  provenRedirect,
  readAuthorizationRequest,
} from "#src/oauth-server/grants/authorization-request.ts";
import {
  accountsFor,
  approve,
  checkConsentToken,
  consentToken,
  mayRemember,
  rememberedAnswer,
} from "#src/oauth-server/grants/consent.ts";
import { connectPage, consentPage } from "./consent.ts";
import { authorizePath } from "#src/oauth-server/endpoints.ts";
import { type StopDeps, letGoOn, stopNotice, stopOf } from "./stops.ts";

export type AuthorizeDeps = App &
  StopDeps & {
    readonly clients: Clients;
    readonly authorizeGate: FloodGate;
  };

/** `/authorize`: JOURNEY 2, where a person decides what an agent may do. */
export function mountAuthorize(routes: PageRoutes, app: AuthorizeDeps): void {
  routes.get(authorizePath, ({ req, env }) => {
    app.authorizeGate.pass(env.address());
    app.clients.expect(req.query("client_id") ?? "", env.address);
    return authorize(app, req.raw);
  });
  routes.post(authorizePath, ({ req, env }) => {
    app.authorizeGate.pass(env.address());
    return decide(app, req.raw);
  });
}

async function authorize(app: AuthorizeDeps, request: Request): Promise<Response> {
  const atHome = atPublicUrl(app.publicUrl, request);
  if (atHome !== undefined) return seeOther(atHome);
  const query = new URL(request.url).search.slice(1);
  const proven = await provenRedirect(app, query);
  return await orTellClient(app, proven, async () => {
    const asked = readAuthorizationRequest(app, proven, query);
    const person = await signedIn(app, request);
    const accounts = await accountsFor(app, person, asked.resource.upstream);
    return await answer(app, request, { asked, person, accounts });
  });
}

type Visit = {
  readonly asked: AuthorizationRequest;
  readonly person: SignedIn | undefined;
  readonly accounts: readonly Account[];
};

const askAnyway = ["consent", "login", "select_account"];

/** At once for whoever has agreed before, else with a page. */
async function answer(app: AuthorizeDeps, request: Request, visit: Visit): Promise<Response> {
  const { asked, person, accounts } = visit;
  const mayBeSilent = !askAnyway.some((word) => asked.prompt.has(word));
  const remembered =
    person !== undefined && mayBeSilent
      ? await rememberedAnswer(app, asked, { person, accounts })
      : undefined;
  // Whoever was stopped is asked about again, and the person told why.
  const isStopped = remembered !== undefined && stopOf(app, asked, remembered) !== undefined;
  if (remembered !== undefined && !isStopped) {
    const code = await approve(app, asked, remembered);
    return seeOther(answerAddress(app, asked, { code }));
  }
  if (asked.prompt.has("none")) throw new Failure("interaction_required");
  const language = languageOf(request);
  const continueTo = `/authorize?${asked.query}`;
  if (person === undefined || accounts.length === 0) {
    const denyLink = failureAddress(app, asked, new Failure("access_denied"));
    return await connectPage(app, language, {
      ...asked,
      person,
      continueTo,
      ...(denyLink === undefined ? {} : { denyLink }),
    });
  }
  return await consentPage(app, language, {
    ...asked,
    person,
    accounts,
    continueTo,
    action: "/authorize",
    isRemembered: mayRemember(asked),
    ...(await stopNotice(app, language, { asked, person, accounts })),
    fields: { query: asked.query, consent: consentToken(app, person, aboutOf(asked)) },
  });
}

/** The person's yes or no. Everything is read and checked anew: the form is a browser's word. */
async function decide(app: AuthorizeDeps, request: Request): Promise<Response> {
  const form = await readForm(request);
  const person = await formSender(app, request, form);
  const query = form.get("query") ?? "";
  const proven = await provenRedirect(app, query);
  return await orTellClient(app, proven, async () => {
    const asked = readAuthorizationRequest(app, proven, query);
    checkConsentToken(app, person, { token: form.get("consent") ?? "", about: aboutOf(asked) });
    if (form.get("decision") !== "allow") throw new Failure("access_denied");
    const accounts = await accountsFor(app, person, asked.resource.upstream);
    const account = accounts.find(({ id }) => id === form.get("account"));
    if (account === undefined) throw new Failure("account_gone");
    const onlyReading = form.get("only_reading") === "yes";
    const answered = { person, account, onlyReading };
    // First: a code that is stored must reach the client.
    await letGoOn(app, asked, answered);
    const code = await approve(app, asked, answered);
    return seeOther(answerAddress(app, asked, { code }));
  });
}

/** What the person was shown: the request, and what the client said about itself then. */
function aboutOf({ query, client }: AuthorizationRequest): string {
  return `${Buffer.from(client.fingerprint).toString("hex")} ${query}`;
}

/** What OAuth has a word for is told to the client; everything else is shown to the person. */
async function orTellClient(
  app: AuthorizeDeps,
  proven: ProvenRedirect,
  work: () => Promise<Response>,
): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    const address = failureAddress(app, proven, asFailure(error));
    if (address === undefined) throw error;
    return seeOther(address);
  }
}
