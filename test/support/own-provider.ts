import { type Visitor, locationOf, mintBearer, newVisitor } from "./browser-like.ts";

type Answer = (form: URLSearchParams, headers: Headers) => Response;

/** A provider from SMARTDASH_PROVIDERS that says whatever a test tells it. */
export type OwnProvider = AsyncDisposable & {
  /** For SMARTDASH_PROVIDERS, with whatever else the test says of it. */
  readonly settings: Readonly<Record<string, unknown>>;
  token: Answer;
  identity: () => Response;
  readonly asked: { form: URLSearchParams; headers: Headers }[];
};

export function ownProvider(): OwnProvider {
  const asked: OwnProvider["asked"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (new URL(request.url).pathname === "/me") return provider.identity();
      const form = new URLSearchParams(await request.text());
      asked.push({ form, headers: request.headers });
      return provider.token(form, request.headers);
    },
  });
  const at = `http://127.0.0.1:${server.port}`;
  const provider: OwnProvider = {
    settings: {
      authorize: `${at}/authorize`,
      token: `${at}/token`,
      identity: `${at}/me`,
      client_id: "smartdash",
      client_secret: "s3cret",
    },
    token: () => tokens("first"),
    identity: () => Response.json({ sub: "seller", email: "seller@example.com" }),
    asked,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return provider;
}

/** A token answer as most providers give it. */
export function tokens(access: string, more: Readonly<Record<string, unknown>> = {}): Response {
  const fields = { access_token: access, refresh_token: `R_${access}`, expires_in: 3600 };
  return Response.json({ ...fields, token_type: "Bearer", ...more });
}

/** Goes through connecting; the page or redirect at its end. */
export async function walkThrough(url: string, provider: string, visitor: Visitor = newVisitor()) {
  const begun = await visitor.get(`${url}/auth/authorize?provider=${provider}`);
  const state = new URL(locationOf(begun)).searchParams.get("state") ?? "";
  const query = new URLSearchParams({ code: "a code", state });
  return await visitor.get(`${url}/auth/callback?${query.toString()}`);
}

/** A session of somebody who has just connected. */
export async function bearerAt(url: string, provider: string): Promise<string> {
  const visitor = newVisitor();
  const done = await walkThrough(url, provider, visitor);
  if (done.status !== 303) throw new Error(`connecting: ${done.status} ${await done.text()}`);
  return await mintBearer(visitor, url);
}
