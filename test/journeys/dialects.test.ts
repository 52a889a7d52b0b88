import { describe, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { refreshDue } from "#src/operations/schedule.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { bearerAt, ownProvider, tokens, walkThrough } from "#test/support/own-provider.ts";
import { refreshingAs } from "#test/support/refreshing.ts";
import { scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

/** A gateway before a provider of its own, and an upstream that refuses the access tokens that a test names. */
async function openScene(more: Readonly<Record<string, unknown>> = {}, name = "acme") {
  const provider = ownProvider();
  const refused = new Set<string>();
  const upstream = scriptedUpstream((request) => {
    const bearer = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
    if (refused.has(bearer)) return new Response(null, { status: 401 });
    return Response.json({ jsonrpc: "2.0", id: 1, result: { content: [], by: bearer } });
  });
  const { client_id, client_secret, ...endpoints } = provider.settings;
  const isOwn = name === "acme";
  const world = await openWorld({
    environment: {
      ...(isOwn ? {} : { SUPABASE_CLIENT_ID: "id", SUPABASE_CLIENT_SECRET: "secret" }),
      SMARTDASH_PROVIDERS: JSON.stringify({
        [name]: { ...endpoints, ...(isOwn ? { client_id, client_secret } : {}), ...more },
      }),
      SMARTDASH_UPSTREAMS: JSON.stringify({
        [name]: { url: upstream.url, credential: { provider: name } },
      }),
    },
  });
  return {
    provider,
    refused,
    world,
    bearer: () => bearerAt(world.url, name),
    call: async (bearer: string) => {
      const answer = await post(`${world.url}/mcp/${name}`, bearer, toolCall("x"));
      const text = await answer.text();
      return /"(?:code|by)":"(\w+)"/.exec(text)?.[1] ?? text;
    },
    account: async () => {
      const [row] = await world.app.db.execute(
        sql`select state, last_error, refresh_token is null as bare, access_expires_at is null as endless
          from accounts order by created_at desc limit 1`,
      );
      return row;
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

const form = (text: string, status = 400) =>
  new Response(text, { status, headers: { "content-type": "application/x-www-form-urlencoded" } });
const html = (text: string, status: number) =>
  new Response(text, { status, headers: { "content-type": "text/html" } });

const verdicts: Readonly<Record<string, () => Response>> = {
  "400 invalid_grant": () => Response.json({ error: "invalid_grant" }, { status: 400 }),
  "401 INVALID_GRANT": () => Response.json({ error: "INVALID_GRANT" }, { status: 401 }),
  "200 bad_refresh_token": () => Response.json({ error: "bad_refresh_token" }),
  "200 ok: false": () => Response.json({ ok: false, error: "invalid_refresh_token" }),
  "400 error_code": () =>
    Response.json({ code: 400, error_code: "refresh_token_not_found" }, { status: 400 }),
  "400 error.code": () => Response.json({ error: { code: "invalid_grant" } }, { status: 400 }),
  "400 errors[0].code": () =>
    Response.json({ errors: [{ code: "invalid_grant" }] }, { status: 400 }),
  "form-encoded": () => form("error=bad_refresh_token&error_description=it+is+gone"),
  "200 form-encoded": () => form("error=bad_refresh_token", 200),
  "form without its type": () => new Response("error=invalid_grant", { status: 400 }),
  "behind a byte order mark": () =>
    new Response('\uFEFF{"error":"invalid_grant"}', { status: 400 }),
  "own words": () => Response.json({ message: "The Token Is GONE for good" }, { status: 410 }),
};

describe("a refresh token that is dead in the provider's own words", () => {
  for (const [name, answer] of Object.entries(verdicts)) {
    test.concurrent(name, async () => {
      const errors = [{ status: 410, text: "token is gone", means: "dead" }];
      await using scene = await openScene({ errors });
      const bearer = await scene.bearer();
      scene.refused.add("first");
      scene.provider.token = answer;
      expect(await scene.call(bearer)).toBe("reconnect_needed");
      expect(await scene.account()).toMatchObject({ state: "reconnect_required" });
    });
  }
});

const noVerdicts: Readonly<Record<string, () => Response>> = {
  "a bare 404": () => new Response(null, { status: 404 }),
  "a page with the very words": () => html("<p>error=invalid_grant token is gone</p>", 400),
  "a page with the profile's status and words": () => html("token is gone", 410),
  "a server in trouble": () => Response.json({ error: "invalid_grant" }, { status: 500 }),
  "a redirect": () =>
    new Response('{"error":"invalid_grant"}', { status: 302, headers: { location: "/" } }),
  "half a body": () => new Response('{"error":"invalid_gra', { status: 400 }),
  "200 and nothing": () => Response.json({}),
};

describe("no verdict", () => {
  for (const [name, answer] of Object.entries(noVerdicts)) {
    test.concurrent(name, async () => {
      const errors = [{ status: 410, text: "token is gone", means: "dead" }];
      await using scene = await openScene({ errors });
      const bearer = await scene.bearer();
      scene.refused.add("first");
      scene.provider.token = answer;
      expect(await scene.call(bearer)).toBe("provider_busy");
      expect(await scene.account()).toMatchObject({ state: "active" });
    });
  }
});

test.each([
  [
    "Supabase's 404",
    "supabase",
    Response.json({ message: "Refresh token not found" }, { status: 404 }),
  ],
  ["words that nobody knows", "acme", Response.json({ error: "weird_state" }, { status: 400 })],
] as const)("%s of six accounts keeps no seventh waiting", async (_, name, answer) => {
  await using scene = await openScene({}, name);
  const many = 7;
  const bearers: string[] = [];
  for (let at = 0; at < many; at += 1) {
    scene.provider.token = () => tokens(`access_${at}`);
    const id = `seller_${at}`;
    scene.provider.identity = () =>
      Response.json(name === "supabase" ? [{ id, name: id }] : { sub: id, email: id });
    bearers.push(await scene.bearer());
    scene.refused.add(`access_${at}`);
  }
  scene.provider.token = (asked) =>
    asked.get("refresh_token") === `R_access_${many - 1}` ? tokens("fresh") : answer.clone();
  const said = [];
  for (const bearer of bearers) said.push(await scene.call(bearer));
  const wanted = name === "supabase" ? "reconnect_needed" : "provider_busy";
  expect(said).toEqual([...Array.from({ length: many - 1 }, () => wanted), "fresh"]);
});

describe("an answer with an access token is taken", () => {
  const json = { access_token: "second", refresh_token: "R_second", token_type: "Bearer" };
  const answers: Readonly<Record<string, () => Response>> = {
    "form-encoded": () =>
      form("access_token=second&refresh_token=R_second&expires_in=28800&token_type=bearer", 200),
    "JSON behind a byte order mark": () => new Response(`\uFEFF${JSON.stringify(json)}`),
    "201": () => Response.json(json, { status: 201 }),
    "JSON as text": () =>
      new Response(JSON.stringify(json), { headers: { "content-type": "text/plain" } }),
    "every other member is null": () =>
      Response.json({ ...json, token_type: null, expires_in: null, scope: null, id_token: null }),
    "every other member is of another type": () =>
      Response.json({ ...json, token_type: 1, expires_in: "soon", scope: ["a"], id_token: {} }),
    "with an error beside it": () => Response.json({ ...json, error: "" }),
  };
  for (const [name, answer] of Object.entries(answers)) {
    test.concurrent(name, async () => {
      await using scene = await openScene();
      const bearer = await scene.bearer();
      scene.refused.add("first");
      scene.provider.token = answer;
      expect(await scene.call(bearer)).toBe("second");
      expect(await scene.account()).toMatchObject({ state: "active", bare: false });
    });
  }
});

describe("an account that came without a refresh token", () => {
  const bare = { refresh_token: undefined, expires_in: undefined };

  test.concurrent("is used until it is refused, and then has to be connected again", async () => {
    await using scene = await openScene();
    scene.provider.token = () => tokens("only", bare);
    const bearer = await scene.bearer();
    expect(await scene.account()).toEqual({
      state: "active",
      last_error: null,
      bare: true,
      endless: true,
    });
    expect(await scene.call(bearer)).toBe("only");
    scene.refused.add("only");
    const asked = scene.provider.asked.length;
    expect(await scene.call(bearer)).toBe("reconnect_needed");
    expect(scene.provider.asked.length).toBe(asked);
    // One upstream's refusal is no proof for all of them.
    expect(await scene.account()).toMatchObject({ state: "active" });
  });

  test.concurrent("ends with its lifetime, also when nobody calls", async () => {
    await using scene = await openScene();
    scene.provider.token = () => tokens("short", { refresh_token: null });
    const bearer = await scene.bearer();
    await scene.world.app.db.execute(
      sql`update accounts set access_expires_at = now() - interval '1 second'`,
    );
    await using refreshing = await refreshingAs(scene.world);
    await refreshDue(refreshing.app);
    expect(await scene.account()).toMatchObject({
      state: "reconnect_required",
      last_error: "no_refresh_token",
    });
    expect(await scene.call(bearer)).toBe("reconnect_needed");
  });

  test.concurrent("is refused where the profile promises one", async () => {
    await using scene = await openScene({ refresh_token: "required" });
    scene.provider.token = () => tokens("only", bare);
    const done = await walkThrough(scene.world.url, "acme");
    expect([done.status, await done.text()]).toEqual([
      502,
      expect.stringContaining("no_refresh_token"),
    ]);
  });
});

test("an identity endpoint that refuses is called that, with the permission that is missing", async () => {
  await using own = await openScene();
  own.provider.identity = () => Response.json({ message: "no" }, { status: 403 });
  const page = await walkThrough(own.world.url, "acme");
  const text = await page.text();
  expect(page.status).toBe(502);
  for (const piece of ["identity_failed", "http_403", "/me"]) expect(text).toContain(piece);
  await using supabase = await openScene({}, "supabase");
  supabase.provider.identity = () => Response.json({ message: "no" }, { status: 401 });
  expect(await (await walkThrough(supabase.world.url, "supabase")).text()).toContain(
    "organizations:read",
  );
});
