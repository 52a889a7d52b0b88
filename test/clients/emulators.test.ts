import { describe, expect, test } from "bun:test";
import { decodeJwt } from "jose";
import { isObject } from "#src/json.ts";
import { rejection } from "#test/data/rejection.ts";
import { newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { antigravity } from "./emulators/antigravity.ts";
import { chatGpt, chatGptWithKeys } from "./emulators/chatgpt.ts";
import { claude, claudeCode } from "./emulators/claude.ts";
import { codex } from "./emulators/codex.ts";
import { cursor, formerCursor } from "./emulators/cursor.ts";
import { type AuthorizationServer, discover, textIn } from "./emulators/discover.ts";
import {
  type Connected,
  type Pair,
  connect,
  connectTo,
  discoverEra,
  legacyTools,
  modernCall,
  pairIn,
  refresh,
  register,
  revoke,
  tokenRequest,
} from "./emulators/drive.ts";
import { type Emulator, byDocument } from "./emulators/emulator.ts";
import { geminiCli } from "./emulators/gemini-cli.ts";
import { inspector } from "./emulators/inspector.ts";
import { mcpRemote } from "./emulators/mcp-remote.ts";
import { modernRevision } from "./emulators/messages.ts";
import { type Network, direct } from "./emulators/network.ts";
import { addOwnAgent, ownScripts, scriptToken } from "./emulators/own-script.ts";
import { personDecides } from "./emulators/person.ts";
import { publicClient, secretInBody, secretInHeader } from "./emulators/proof.ts";
import { vsCode, vsCodeOnAnotherPort, vsCodeOnTheWeb } from "./emulators/vs-code.ts";

/** A client on a gateway, and the way it has to register there. */
type Handshake = {
  readonly emulator: Emulator;
  readonly documents: "bundled" | "off";
  readonly way: "document" | "dynamic";
};

const byItsDocument = [
  claude,
  claudeCode,
  chatGpt,
  codex,
  vsCode,
  vsCodeOnAnotherPort,
  vsCodeOnTheWeb,
];
const byItsRegistration = [cursor, formerCursor, geminiCli, antigravity, inspector, mcpRemote];

const meetings: readonly Handshake[] = [
  ...byItsDocument.map((emulator) => meeting(emulator, "bundled", "document")),
  ...byItsRegistration.map((emulator) => meeting(emulator, "bundled", "dynamic")),
  ...[claude, claudeCode, codex].map((emulator) => meeting(emulator, "off", "dynamic")),
];

function meeting(
  emulator: Emulator,
  documents: Handshake["documents"],
  way: Handshake["way"],
): Handshake {
  return { emulator, documents, way };
}

describe("from the typed address to a tool, and to the end of it", () => {
  for (const { emulator, documents, way } of meetings) {
    const how = way === "document" ? "by its document" : "by registration";
    test(`${emulator.name}, ${how}`, async () => {
      await using world = await openWorld({
        environment: { SMARTDASH_CLIENT_DOCUMENTS: documents },
      });
      const connected = await connect(emulator, surroundings(world));
      expect(connected.client.way).toBe(way);
      expect(connected.pages).toEqual(["connect", "login", "consent"]);
      await expectWholeLife(emulator, world, connected);
    });
  }

  test("ChatGPT with its key, by a document of this machine", async () => {
    await using chat = await chatGptWithKeys();
    await using world = await openWorld({
      environment: { SMARTDASH_MODE: "development", SMARTDASH_CLIENT_DOCUMENTS: "fetch" },
    });
    const connected = await connect(chat.emulator, surroundings(world));
    expect(connected.client.proof.method).toBe("private_key_jwt");
    expect(new Set(chat.fetched)).toEqual(new Set(["/client.json", "/jwks.json"]));
    await expectWholeLife(chat.emulator, world, connected);
    const unproven = byDocument(connected.client.clientId, publicClient);
    const refused = await tokenRequest(
      direct,
      { ...connected, client: { ...connected.client, ...unproven } },
      { grant_type: "refresh_token", refresh_token: connected.pair.refresh },
    );
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ error: "invalid_client" });
  });
});

/** Tools in the client's eras, rotation, a lost answer, revocation, and nothing after it. */
async function expectWholeLife(
  emulator: Emulator,
  world: World,
  connected: Connected,
): Promise<void> {
  const { port } = world.gateway;
  const { pair } = connected;
  expect(decodeJwt(pair.access)).toMatchObject({
    iss: world.url,
    client_id: connected.client.clientId,
  });
  await expectTools(emulator, world, pair);

  const ask = (token: string) => refresh(emulator, connected, { port, token });
  // Two programs of one client refresh at the same moment; an answer got lost.
  const [second, twin] = await Promise.all([
    ask(pair.refresh).then(pairIn),
    ask(pair.refresh).then(pairIn),
  ]);
  expect(twin).toEqual(second);
  expect(second.refresh).not.toBe(pair.refresh);
  expect(second.access).not.toBe(pair.access);
  expect(await pairIn(await ask(pair.refresh))).toEqual(second);
  const third = await pairIn(await ask(second.refresh));
  expect(third.refresh).not.toBe(second.refresh);
  await expectTools(emulator, world, third);

  expect((await revoke(connected, third.refresh)).status).toBe(200);
  for (const { access } of [pair, second, third]) {
    const refused = await post(emulator.typed({ port }), access, toolCall("whoami"));
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain('error="invalid_token"');
  }
  const dead = await ask(third.refresh);
  expect(dead.status).toBe(400);
  expect(await dead.json()).toMatchObject({ error: "invalid_grant" });
}

async function expectTools(emulator: Emulator, world: World, { access }: Pair): Promise<void> {
  const url = emulator.typed(world.gateway);
  if (emulator.legacy !== undefined) {
    const { revision, tools } = await legacyTools(url, access, emulator.legacy);
    expect(revision).toBe(emulator.legacy);
    expect(tools).toContain("whoami");
  }
  if (emulator.isModern) {
    expect(await discoverEra(url, access)).toContain(modernRevision);
    expect(await modernCall(url, access, "whoami")).toContain("TIENDA_DEMO");
  }
}

function surroundings(world: World, network?: Network) {
  return {
    port: world.gateway.port,
    minutesPass: (minutes: number) => world.database.open.sql`
      update authorization_codes set expires_at = expires_at - ${minutes} * interval '1 minute'`,
    ...(network === undefined ? {} : { network }),
  };
}

test("a client whose id and secret the operator gave needs no registration", async () => {
  await using world = await openWorld();
  const { clientId, secret } = await addOwnAgent(world, { redirectUris: [claude.redirectUri] });
  for (const proof of [secretInBody, secretInHeader]) {
    const registrations = [{ way: "configured", clientId, secret, proof }] as const;
    const configured = { ...claude, registrations };
    const connected = await connect(configured, surroundings(world));
    expect(connected.client.way).toBe("configured");
    await expectWholeLife(configured, world, connected);
  }
});

test("a client of 2025-03-26 that finds no metadata goes to the literal paths", async () => {
  await using world = await openWorld();
  const at = (path: string) => `http://localhost:${world.gateway.port}${path}`;
  const server: AuthorizationServer = {
    issuer: at(""),
    authorizationEndpoint: at("/authorize"),
    tokenEndpoint: at("/token"),
    revocationEndpoint: at("/revoke"),
    registrationEndpoint: at("/register"),
    deviceEndpoint: undefined,
    takesDocuments: false,
    announcesIss: false,
  };
  const namesResource = { authorize: false, code: false, refresh: false };
  const old: Emulator = { ...mcpRemote, name: "old", namesResource };
  await expectWholeLife(old, world, await connectTo(server, old, surroundings(world)));
});

test("a person's no reaches the client, with iss and state", async () => {
  await using world = await openWorld();
  for (const emulator of [claude, claudeCode, formerCursor]) {
    const asked = connect(emulator, { ...surroundings(world), decision: "deny" });
    expect(await rejection(asked)).toMatchObject({ name: "GivesUp", message: "access_denied" });
  }
});

describe("what a client insists on is really looked at", () => {
  type Lie = (value: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
  const resource = "oauth-protected-resource";
  const server = "oauth-authorization-server";
  const lies: readonly [string, Emulator, string, Lie, string][] = [
    [
      "a resource with a slash at its end",
      claudeCode,
      resource,
      slashed("resource"),
      "resource http",
    ],
    ["an issuer with a slash at its end", codex, server, slashed("issuer"), "issuer http"],
    ["no PKCE", cursor, server, without("code_challenge_methods_supported"), "no S256"],
    [
      "no document, for a client that has nothing else",
      vsCode,
      "openid-configuration",
      without("client_id_metadata_document_supported"),
      "no way to register",
    ],
    [
      "no iss announced",
      chatGpt,
      "openid-configuration",
      without("authorization_response_iss_parameter_supported"),
      "iss is not announced",
    ],
    [
      "no iss announced, and the endpoint under another name",
      codex,
      server,
      without("authorization_response_iss_parameter_supported"),
      "endpoint is elsewhere",
    ],
    ["another issuer in the answer", geminiCli, "oauth-", elsewhere, "iss is http"],
  ];
  for (const [what, emulator, where, lie, why] of lies) {
    test(`${emulator.name} gives up at ${what}`, async () => {
      await using world = await openWorld();
      const network = lyingAt(where, lie);
      const attempt = connect(emulator, surroundings(world, network));
      expect(String(await rejection(attempt))).toContain(why);
    });
  }

  function slashed(name: string): Lie {
    return (value) => ({ ...value, [name]: `${String(value[name])}/` });
  }
  function without(name: string): Lie {
    return (value) => ({ ...value, [name]: undefined });
  }
  /** Both documents agree on another name, but the answer comes from the true one. */
  function elsewhere(value: Readonly<Record<string, unknown>>) {
    const moved = (text: unknown) => String(text).replace("localhost", "127.0.0.1");
    return "issuer" in value
      ? { ...value, issuer: moved(value["issuer"]) }
      : { ...value, authorization_servers: [moved(value["authorization_servers"])] };
  }
});

/** Changes the documents on their way whose address contains `where`. */
function lyingAt(
  where: string,
  lie: (value: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Network {
  return async (url, init) => {
    const answer = await direct(url, init);
    const value: unknown = url.includes("/.well-known/") ? await answer.clone().json() : undefined;
    return isObject(value) && url.includes(where) ? Response.json(lie(value)) : answer;
  };
}

test("the root of the resource metadata describes the bare address", async () => {
  await using world = await openWorld();
  for (const host of ["localhost", "127.0.0.1"]) {
    const origin = `http://${host}:${world.gateway.port}`;
    const answer = await fetch(`${origin}/.well-known/oauth-protected-resource`);
    expect(await answer.json()).toMatchObject({
      resource: `${origin}/mcp`,
      authorization_servers: [world.url],
    });
  }
});

describe("Antigravity", () => {
  test("registers again and again, and its latest registration works", async () => {
    await using world = await openWorld();
    const network = direct;
    const server = await discover(network, antigravity.typed(world.gateway), antigravity.metadata);
    const ids = new Set<string>();
    for (let count = 0; count < 12; count += 1) {
      ids.add((await register(antigravity, network, server)).clientId);
    }
    expect(ids.size).toBe(12);
    const { pair } = await connect(antigravity, surroundings(world));
    await expectTools(antigravity, world, pair);
  });

  test("is told when the code was pasted too late", async () => {
    await using world = await openWorld();
    const late = { ...antigravity, minutesUntilCode: 6 };
    const refused = await rejection(connect(late, surroundings(world)));
    expect(String(refused)).toContain("invalid_grant");
  });

  test("works with a static header and never asks for anything else", async () => {
    await using world = await openWorld();
    const bearer = await newBearer({ url: world.url });
    const url = antigravity.typed(world.gateway);
    const { tools } = await legacyTools(url, bearer, "2025-11-25");
    expect(tools).toContain("whoami");
    expect((await post(url, `${bearer}x`, toolCall("whoami"))).status).toBe(401);
  });
});

test("VS Code with a device code: wait, slow down, a person types it, one token", async () => {
  await using world = await openWorld();
  const { port } = world.gateway;
  const resource = vsCode.typed({ port });
  const server = await discover(direct, resource, vsCode.metadata);
  const client = await register(vsCode, direct, server);
  const begun: unknown = await (
    await fetch(server.deviceEndpoint ?? "", {
      method: "POST",
      body: new URLSearchParams({
        client_id: client.clientId,
        resource,
        scope: "mcp:read mcp:call",
      }),
    })
  ).json();
  if (!isObject(begun)) throw new Error("no device code");
  expect(textIn(begun, "user_code")).toMatch(
    /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/,
  );
  const poll = () =>
    tokenRequest(
      direct,
      { server, client },
      {
        grant_type: "urn:ietf:params:oauth:grant-type:device_code",
        device_code: textIn(begun, "device_code"),
      },
    );
  const errorOf = async (answer: Response) => ((await answer.json()) as { error: string }).error;
  expect(await errorOf(await poll())).toBe("authorization_pending");
  expect(await errorOf(await poll())).toBe("slow_down");

  const visitor = newVisitor();
  const typed = textIn(begun, "user_code").replace("-", "").toLowerCase();
  const form = await visitor.post(textIn(begun, "verification_uri"), { user_code: typed });
  const address = new URL(form.headers.get("location") ?? "", world.url).href;
  expect((await personDecides(visitor, { address })).pages).toEqual([
    "connect",
    "login",
    "consent",
  ]);

  const soon = () => world.database.open.sql`
    update device_codes set polled_at = polled_at - interval '1 minute'`;
  await soon();
  const pair = await pairIn(await poll());
  await expectTools(vsCode, world, pair);
  await soon();
  expect(await errorOf(await poll())).toBe("invalid_grant");
  const connected = { server, client, pages: [], pair };
  const renewed = await pairIn(await refresh(vsCode, connected, { port, token: pair.refresh }));
  await expectTools(vsCode, world, renewed);
});

describe("an operator's own script", () => {
  for (const script of ownScripts) {
    test(`proves itself with ${script.name}`, async () => {
      await using world = await openWorld();
      const { url } = world;
      const { proof, jwks } = await script.makeProof();
      const { clientId, secret } = await addOwnAgent(world, { jwks });
      const answer = await scriptToken(script, { url, proof, clientId, secret });
      const text = await answer.text();
      expect(answer.status, text).toBe(200);
      const { access_token: token, ...rest } = JSON.parse(text) as { access_token: string };
      expect(rest).toEqual({ token_type: "Bearer", expires_in: 3600, scope: "mcp:read mcp:call" });
      expect(decodeJwt(token)).toMatchObject({ sub: clientId, agent_type: "script" });
      expect(await modernCall(`${url}/mcp`, token, "whoami")).toContain("TIENDA_DEMO");
      const wrong = { url, proof: (await script.makeProof()).proof, clientId, secret: "sd_wrong" };
      const refused = await scriptToken(script, wrong);
      expect(refused.status).toBe(401);
      expect(await refused.json()).toMatchObject({ error: "invalid_client" });
    });
  }
});
