import { type Asking, authorizeUrl, newPkce } from "#test/support/agent-like.ts";
import { type World, openWorld } from "#test/support/world.ts";

/** A gateway that reads metadata documents from this machine too. */
export function openDevelopmentWorld(): Promise<World> {
  return openWorld({
    environment: { SMARTDASH_MODE: "development", SMARTDASH_CLIENT_DOCUMENTS: "fetch" },
  });
}

/** Serves whatever a test says, and remembers who asked for what. */
export type DocumentServer = AsyncDisposable & {
  readonly origin: string;
  readonly asked: string[];
};

export function serveDocuments(
  answer: (path: string, origin: string) => Response | Promise<Response>,
): DocumentServer {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const { pathname, origin } = new URL(request.url);
      asked.push(pathname);
      return answer(pathname, origin);
    },
  });
  return {
    origin: server.url.origin,
    asked,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** A good document of the client at `clientId`. */
export function documentOf(
  clientId: string,
  more: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return {
    client_id: clientId,
    client_name: "Document agent",
    redirect_uris: ["https://agent.example/callback"],
    token_endpoint_auth_method: "none",
    ...more,
  };
}

/** Opens the authorization page of a client as a program, without following anything. */
export function ask(url: string, clientId: string, query: Asking["query"] = {}): Promise<Response> {
  const address = authorizeUrl({ url, clientId, pkce: newPkce(), query });
  return fetch(address, { redirect: "manual", headers: { accept: "application/json" } });
}

/** An accepted client gets a page for whoever is not signed in yet. */
export async function isAccepted(url: string, clientId: string): Promise<boolean> {
  const answer = await ask(url, clientId);
  const text = await answer.text();
  if (answer.status === 200) return text.includes("/auth/authorize?");
  if (answer.status !== 400 || !text.includes("client_unknown")) {
    throw new Error(`neither accepted nor unknown: ${answer.status} ${text}`);
  }
  return false;
}
