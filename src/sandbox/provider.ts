import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Provider } from "#src/providers/provider.ts";
import { countAtOnce } from "./at-once.ts";
import { type Fault, answerOf, oddFields, spoilt } from "./faults.ts";
import { type Grants, createGrants } from "./grants.ts";
import { type Seller, sellers } from "./sellers.ts";
import { html } from "hono/html";

export type SimulatedProvider = {
  /** Answers under `/{profile name}/`; undefined for any other path. */
  fetch(request: Request): Promise<Response> | undefined;
  /** What the provider must be told to be reached at `origin`; goes into SMARTDASH_PROVIDERS. */
  overrides(origin: string): Readonly<Record<string, string>>;
  readonly grants: Grants;
  /** The next answers of the token endpoint, in order. */
  readonly faults: Fault[];
  /** How often each grant type was asked for, and whose a token is. */
  readonly asked: Record<"authorization_code" | "refresh_token" | "identity", number>;
  /** How many requests the token endpoint had at the same time, at most. */
  readonly most: () => number;
};

type SimulationOptions = {
  readonly profile: Provider;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly accessSeconds: number;
  readonly now: () => number;
  readonly endsOnReuse?: boolean;
  /** How long the token endpoint takes for each answer. */
  readonly tokenMs?: number;
};

type Code = {
  readonly seller: Seller;
  readonly challenge: string | null;
  readonly redirectUri: string;
};
type Simulation = SimulationOptions & {
  readonly grants: Grants;
  readonly codes: Map<string, Code>;
  readonly faults: Fault[];
  readonly asked: SimulatedProvider["asked"];
};

/** A provider that behaves as its profile says: single-use refresh tokens, its own errors, its own limits. */
export function simulateProvider(options: SimulationOptions): SimulatedProvider {
  const simulation: Simulation = {
    ...options,
    grants: createGrants(options),
    codes: new Map(),
    faults: [],
    asked: { authorization_code: 0, refresh_token: 0, identity: 0 },
  };
  const base = `/${options.profile.name}`;
  const counted = countAtOnce();
  return {
    most: counted.most,
    grants: simulation.grants,
    faults: simulation.faults,
    asked: simulation.asked,
    overrides: (origin) => ({
      authorize: `${origin}${base}/authorize`,
      token: `${origin}${base}/token`,
      identity: `${origin}${base}/identity`,
      ...revocationAt(options.profile, `${origin}${base}`),
    }),
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith(`${base}/`)) return undefined;
      const work = () => answer(simulation, request, pathname.slice(base.length));
      return pathname === `${base}/token` ? counted.run(work) : work();
    },
  };
}

/** Providers without a way to take access back have none here either. */
function revocationAt({ revocation }: Provider, base: string): Readonly<Record<string, string>> {
  if (revocation === undefined || revocation.how === "by_hand") return {};
  const path = revocation.how === "rfc7009" ? "/revoke" : "/users/{seller}/applications/{client}";
  return { revoke: `${base}${path}` };
}

async function answer(simulation: Simulation, request: Request, path: string): Promise<Response> {
  const revocation = /^\/users\/([^/]+)\/applications\/[^/]+$/.exec(path)?.[1];
  if (request.method === "DELETE" && revocation !== undefined)
    return revoke(simulation, request, revocation);
  switch (`${request.method} ${path}`) {
    case "GET /authorize":
      return loginPage(simulation.profile, new URL(request.url).searchParams, sellers);
    case "POST /authorize":
      return decide(simulation, request);
    case "POST /token":
      return token(simulation, request);
    case "POST /revoke":
      return revokeToken(simulation, request);
    case "GET /identity":
      return whoIs(simulation, request);
    default:
      return Response.json(
        { message: "resource not found", error: "not_found", status: 404 },
        { status: 404 },
      );
  }
}

/** The person chose a seller, or said no. */
async function decide(simulation: Simulation, request: Request): Promise<Response> {
  const asked = new URL(request.url).searchParams;
  const redirectUri = asked.get("redirect_uri") ?? "";
  if (asked.get("client_id") !== simulation.clientId || !URL.canParse(redirectUri)) {
    return new Response("unknown client_id or redirect_uri", { status: 400 });
  }
  const form = new URLSearchParams(await request.text());
  const back = new URL(redirectUri);
  back.searchParams.set("state", asked.get("state") ?? "");
  const seller = sellers.find(({ id }) => id === form.get("seller"));
  const challenge = asked.get("code_challenge");
  if (seller === undefined) {
    back.searchParams.set("error", "access_denied");
  } else if (challenge === null && simulation.profile.pkce === "required") {
    back.searchParams.set("error", "invalid_request");
  } else {
    const code = `TG-${randomBytes(16).toString("hex")}-${seller.id}`;
    simulation.codes.set(code, { seller, challenge, redirectUri });
    back.searchParams.set("code", code);
  }
  return new Response(null, { status: 302, headers: { location: back.href } });
}

async function token(simulation: Simulation, request: Request): Promise<Response> {
  const form = new URLSearchParams(await request.text());
  const grantType = form.get("grant_type") ?? "";
  if (grantType === "authorization_code" || grantType === "refresh_token")
    simulation.asked[grantType] += 1;
  if (simulation.tokenMs !== undefined) await sleep(simulation.tokenMs);
  const fault = simulation.faults.shift();
  const instead = await answerOf(fault);
  if (instead !== undefined) return instead;
  if (!isOurClient(simulation, request, form)) return refusal("invalid_client", 401);
  const issued =
    grantType === "refresh_token" ? redeem(simulation, form) : exchange(simulation, form);
  if (typeof issued === "string")
    return refusal(issued, issued === "recently_refreshed" ? 409 : 400);
  return handOut(simulation, issued, fault);
}

function isOurClient(
  { profile, ...known }: Simulation,
  request: Request,
  form: URLSearchParams,
): boolean {
  const basic = /^Basic (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (profile.clientAuthentication === "body") {
    return (
      form.get("client_id") === known.clientId && form.get("client_secret") === known.clientSecret
    );
  }
  if (profile.clientAuthentication === "none") return form.get("client_id") === known.clientId;
  const [id, secret] = Buffer.from(basic ?? "", "base64")
    .toString()
    .split(":")
    .map(decodeURIComponent);
  return id === known.clientId && secret === known.clientSecret;
}

function redeem({ grants }: Simulation, form: URLSearchParams) {
  const redeemed = grants.redeem(form.get("refresh_token") ?? "");
  if (redeemed === "just_refreshed") return "recently_refreshed";
  return redeemed === "unknown" ? "invalid_grant" : redeemed;
}

function exchange({ grants, codes }: Simulation, form: URLSearchParams) {
  const code = form.get("code") ?? "";
  const known = codes.get(code);
  codes.delete(code);
  if (known === undefined || known.redirectUri !== form.get("redirect_uri")) return "invalid_grant";
  const verifier = createHash("sha256")
    .update(form.get("code_verifier") ?? "")
    .digest("base64url");
  if (known.challenge !== null && known.challenge !== verifier) return "invalid_grant";
  return grants.issue(known.seller);
}

function handOut(
  { profile, accessSeconds, now }: Simulation,
  issued: { access: string; refresh: string; seller: Seller },
  fault: Fault | undefined,
): Promise<Response> {
  const id = Number(issued.seller.id);
  const body = {
    access_token: issued.access,
    // Airtable documents the trailing space.
    token_type: "Bearer ",
    ...(fault?.kind === "no_expires_in" ? {} : { expires_in: accessSeconds }),
    scope: profile.scopes.join(" ") || "offline_access read write",
    refresh_token: issued.refresh,
    ...(profile.identity.from === "token" ? { [profile.identity.idField]: id } : {}),
    ...(profile.refresh.expiresInField === undefined
      ? {}
      : { [profile.refresh.expiresInField]: 5_184_000 }),
  };
  return spoilt(JSON.stringify({ ...body, ...oddFields(fault) }), fault, now);
}

/** Old applications put the words into `message`, the documentation into `error_description`. */
function refusal(error: string, status: number): Response {
  const message =
    "Error validating grant. Your authorization code or refresh token may be expired or it was already used";
  return Response.json({ message, error, status, cause: [] }, { status });
}

function whoIs({ grants, profile, asked }: Simulation, request: Request): Response {
  asked.identity += 1;
  const seller = holderOf(grants, request);
  return seller === undefined ? unauthorized() : Response.json(identityOf(profile, seller));
}

function unauthorized(): Response {
  const body = { message: "invalid_token", error: "not_found", status: 401, cause: [] };
  return Response.json(body, { status: 401 });
}

function revoke({ grants }: Simulation, request: Request, sellerId: string): Response {
  const holder = holderOf(grants, request);
  if (holder === undefined) return unauthorized();
  if (holder.id !== sellerId) return Response.json({ error: "forbidden" }, { status: 403 });
  grants.revoke(sellerId);
  return Response.json({ user_id: sellerId, msg: "Autorización eliminada" });
}

/** RFC 7009: a token that nobody knows is as good as revoked. */
async function revokeToken(simulation: Simulation, request: Request): Promise<Response> {
  const form = new URLSearchParams(await request.text());
  if (!isOurClient(simulation, request, form)) return refusal("invalid_client", 401);
  simulation.grants.revokeToken(form.get("token") ?? "");
  return new Response(null, { status: 200 });
}

/** Whose live access token a request carries. */
export function holderOf(grants: Grants, request: Request): Seller | undefined {
  const bearer = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  return bearer === undefined ? undefined : grants.holder(bearer);
}

/** The pages of a provider in one: sign in as a seller and allow the application, or not. */
async function loginPage(
  profile: Provider,
  asked: URLSearchParams,
  sellers: readonly Seller[],
): Promise<Response> {
  const application = asked.get("client_id");
  const document = await html`<!doctype html>
    <html lang="es">
      <head>
        <meta charset="utf-8" />
        <title>${profile.title} (simulado)</title>
        <link rel="icon" href="data:," />
      </head>
      <body>
        <h1>${profile.title} <small>(simulado)</small></h1>
        <p>
          La aplicación <b>${application}</b> quiere acceder a tu cuenta. ¿Con qué cuenta entras?
        </p>
        <form method="post">
          ${sellers.map(
            (seller) =>
              html`<p>
                <button name="seller" value="${seller.id}">Permitir como ${seller.name}</button>
              </p>`,
          )}
          <p><button name="seller" value="">No permitir</button></p>
        </form>
      </body>
    </html>`;
  return new Response(document.toString(), {
    headers: { "content-type": "text/html; charset=utf-8" },
  });
}

/** What a simulated identity endpoint says of a seller, in the shape that the profile reads. */
function identityOf(profile: Provider, seller: Seller): object {
  const rule = profile.identity;
  const email = `${seller.name.toLowerCase()}@example.com`;
  const about = { nickname: seller.name, site_id: seller.site, email };
  if (rule.from === "token") return { id: Number(seller.id), ...about };
  const id = `usr${seller.id}`;
  // `0.id`: a list, as of organizations.
  if (rule.idField.startsWith("0.")) return [{ id, name: seller.name }];
  return { ...about, ...placed(rule.idField.split("."), id) };
}

/** `user`, `id` → `{ user: { id } }` */
function placed([key = "id", ...rest]: readonly string[], value: string): object {
  return { [key]: rest.length === 0 ? value : placed(rest, value) };
}
