import { expect } from "bun:test";
import type { Page, Response } from "playwright-core";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import {
  type Pkce,
  type Tokens,
  authorizeUrl,
  newPkce,
  redeem,
  registerAgent,
  tokenRequest,
} from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import type { World } from "#test/support/world.ts";
import type { Window } from "./chrome.ts";

export type Agent = AsyncDisposable & {
  readonly clientId: string;
  readonly pkce: Pkce;
  readonly redirectUri: string;
  /** What browsers brought to its callback. */
  readonly answers: URLSearchParams[];
  /** Which pages those browsers said to come from. */
  readonly referrers: (string | null)[];
  /** Where it sends its person. */
  askAt(url: string, query?: Readonly<Record<string, string | undefined>>): string;
};

export type AgentOptions = {
  readonly name?: string;
  /** A name of this machine, as it stands in the redirect URI. */
  readonly host?: string;
  /** Where its callback sends browsers on to, if it does. */
  readonly onward?: string;
};

/** An agent on this machine that is registered and waits for browsers. */
export async function openAgent(url: string, options: AgentOptions = {}): Promise<Agent> {
  const { name = "Test agent", host = "127.0.0.1", onward } = options;
  const answers: URLSearchParams[] = [];
  const referrers: (string | null)[] = [];
  const server = Bun.serve({
    hostname: host.replace(/[[\]]/g, ""),
    port: 0,
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname !== "/callback") return new Response(null, { status: 404 });
      answers.push(searchParams);
      referrers.push(request.headers.get("referer"));
      if (onward !== undefined) return Response.redirect(onward, 302);
      return new Response(`<link rel="icon" href="data:," /><h1>Back at the agent</h1>`, {
        headers: { "content-type": "text/html" },
      });
    },
  });
  const redirectUri = `http://${host}:${server.port}/callback`;
  const { client_id: clientId } = await registerAgent(url, {
    client_name: name,
    redirect_uris: [redirectUri],
  });
  const pkce = newPkce();
  return {
    clientId,
    pkce,
    redirectUri,
    answers,
    referrers,
    askAt: (at, query = {}) => authorizeUrl({ url: at, clientId, pkce, redirectUri, query }),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** Waits until the browser is back at the agent; the result is what it brought. */
export async function arrived(page: Page, agent: Agent): Promise<URLSearchParams> {
  await page.waitForURL((url) => url.href.startsWith(agent.redirectUri));
  await page.getByRole("heading", { name: "Back at the agent" }).waitFor();
  return new URL(page.url()).searchParams;
}

export async function tokensOf(
  url: string,
  agent: Agent,
  answer: URLSearchParams,
): Promise<Tokens> {
  const { clientId, pkce, redirectUri } = agent;
  const code = answer.get("code") ?? "";
  const response = await redeem(url, { clientId, code, pkce, redirectUri });
  expect(response.status).toBe(200);
  return (await response.json()) as Tokens;
}

/** What the tool answers that tells whose account is used. */
export async function whoAmI(url: string, token: string): Promise<string> {
  const answer = await post(`${url}/mcp`, token, toolCall("whoami"));
  return `${answer.status} ${await answer.text()}`;
}

export type Seller = "TIENDA_DEMO" | "LOJA_EXEMPLO";

/** The provider's own page. */
export async function allowAtProvider(page: Page, seller: Seller = "TIENDA_DEMO"): Promise<void> {
  await page.getByRole("button", { name: `Permitir como ${seller}` }).click();
}

/** Signs in by connecting a seller. */
export async function connect(page: Page, url: string, seller?: Seller): Promise<void> {
  await page.goto(`${url}/auth/authorize?provider=mercadolibre`);
  await allowAtProvider(page, seller);
  await page.waitForURL(`${url}/`);
}

/** Another gateway of the same world, whose clock can be put forward. */
export async function openShiftedGateway(world: World) {
  let offsetMs = 0;
  const now = () => new Date(Date.now() + offsetMs);
  const gateway = await startGateway(
    { ...world.app, now, replica: crypto.randomUUID() },
    bunRuntime,
  );
  return {
    url: gateway.publicUrl,
    putForward: (minutes: number) => void (offsetMs += minutes * 60_000),
    [Symbol.asyncDispose]: () => gateway.stop(),
  };
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

/** A program without a browser: it shows a code and asks how it stands. */
export async function openDevice(url: string, name = "Terminal") {
  const { client_id: clientId } = await registerAgent(url, {
    client_name: name,
    grant_types: [deviceGrant, "refresh_token"],
    redirect_uris: undefined,
  });
  const response = await fetch(`${url}/device_authorization`, {
    method: "POST",
    body: new URLSearchParams({ client_id: clientId }),
  });
  const begun = (await response.json()) as {
    device_code: string;
    user_code: string;
    verification_uri: string;
    verification_uri_complete: string;
  };
  const fields = { grant_type: deviceGrant, client_id: clientId, device_code: begun.device_code };
  return {
    userCode: begun.user_code,
    address: begun.verification_uri,
    wholeAddress: begun.verification_uri_complete,
    poll: async () => {
      const answer = await tokenRequest(url, fields);
      return (await answer.json()) as Partial<Tokens> & { readonly error?: string };
    },
  };
}

/** The page cannot be framed, scripted or fed from elsewhere, and its style still applies. */
export async function expectLocked(
  page: Page,
  response: Response | null,
  referrers = "same-origin",
): Promise<void> {
  await page.waitForLoadState();
  const policy = (await response?.headerValue("content-security-policy")) ?? "";
  for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    expect(policy).toContain(rule);
  }
  expect(policy).not.toMatch(/unsafe|script-src|\*/);
  expect(await response?.headerValue("referrer-policy")).toBe(referrers);
  expect(await response?.headerValue("cache-control")).toBe("no-store");
  expect(await page.locator("script, iframe, [style]").count()).toBe(0);
  expect(await page.content()).not.toMatch(/\son\w+=|javascript:/);
  const width = () => getComputedStyle(document.body).maxWidth;
  expect(await page.evaluate(width)).toBe("736px");
  const isRefused = await page.addScriptTag({ content: "1" }).then(
    () => false,
    () => true,
  );
  expect(isRefused).toBe(true);
}

/** Nothing was complained of, and nothing was asked of any other machine. */
export function expectQuiet({ complaints, hosts }: Window): void {
  expect(complaints).toEqual([]);
  expect(hosts).toContain("localhost");
  expect([...hosts].filter((host) => host !== "localhost" && host !== "127.0.0.1")).toEqual([]);
}
