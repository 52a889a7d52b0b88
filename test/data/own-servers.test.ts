import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { buildCatalog } from "#src/upstreams/catalog.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { loadConfig } from "#src/config/load.ts";
import { catalogOf } from "./catalog-of.ts";
import { temporaryHome } from "./home.ts";

const endpoints = {
  authorize: "https://id.example/authorize",
  token: "https://id.example/token",
  identity: "https://id.example/me",
};

describe("an own provider and an own MCP server", () => {
  const providers = { own: { ...endpoints, title: "Own", scopes: "read write", pkce: "off" } };
  const upstreams = {
    own: { url: "https://mcp.own.example/mcp", credential: { provider: "own" } },
    keyed: { url: "https://keyed.example/mcp", credential: { key: "hunter2", header: "X-Key" } },
  };

  test("are read from inline JSON", async () => {
    const { catalog, problems } = await catalogOf(providers, upstreams);
    expect(problems).toEqual([]);
    expect(catalog.providers.get("own")).toMatchObject({
      title: "Own",
      endpoints,
      scopes: ["read", "write"],
      pkce: "off",
    });
    expect(catalog.upstreams.get("own")).toMatchObject({
      url: "https://mcp.own.example/mcp",
      credential: { kind: "account", provider: "own" },
    });
    expect(catalog.upstreams.get("keyed")).toMatchObject({
      credential: { kind: "key", header: "x-key", scheme: "" },
    });
    expect(Bun.inspect(catalog.upstreams.get("keyed"), { depth: 9 })).not.toContain("hunter2");
  });

  test("are read from files", async () => {
    await using home = await temporaryHome();
    const file = join(home.folder, "providers.json");
    const upstreamsFile = join(home.folder, "upstreams.json");
    await Bun.write(file, JSON.stringify(providers));
    await Bun.write(upstreamsFile, JSON.stringify(upstreams));
    const loaded = loadConfig({ SMARTDASH_PROVIDERS: file, SMARTDASH_UPSTREAMS: upstreamsFile });
    expect(loaded.problems).toEqual([]);
    expect(loaded.config).toMatchObject({ providers, upstreams });
  });

  test("of a file that holds something else are reported without its content", async () => {
    await using home = await temporaryHome();
    for (const content of ["", '["hunter2"]', '{"own": "hunter2', "null"]) {
      const file = join(home.folder, "providers.json");
      await Bun.write(file, content);
      const { problems } = loadConfig({ SMARTDASH_PROVIDERS: file });
      expect(problems).toEqual([
        { setting: "SMARTDASH_PROVIDERS", message: `the file ${file} is not a JSON object` },
      ]);
    }
  });

  test("may override a built-in one, whose rest stays", async () => {
    const token = "https://staging.example/token";
    const { catalog, problems } = await catalogOf({ mercadolibre: { token } }, {});
    expect(problems).toEqual([]);
    const { token: _, ...otherEndpoints } = mercadolibre.endpoints;
    expect(catalog.providers.get("mercadolibre")).toEqual({
      ...mercadolibre,
      promisesIssuer: false,
      endpoints: { ...otherEndpoints, token },
    });
  });
});

describe("a wrong own provider is reported:", () => {
  test.each([
    ["no object", "text", /own must be an object/],
    ["no endpoints", { title: "Own" }, /own needs "authorize" and "token"/],
    ["no authorize", { token: endpoints.token }, /own needs "authorize" and "token"/],
    [
      "a token endpoint without TLS",
      { ...endpoints, token: "http://id.example/token" },
      /own\.token must be an https/,
    ],
    [
      "an identity endpoint that is no URL",
      { ...endpoints, identity: "whoami" },
      /own\.identity must be an https/,
    ],
    ["no identity endpoint", { ...endpoints, identity: undefined }, /own needs "identity"/],
    [
      "an error without a meaning",
      { ...endpoints, errors: [{ code: "gone" }] },
      /own\.errors\[0\] needs "means"/,
    ],
    [
      "an error that means nothing known",
      { ...endpoints, errors: [{ code: "gone", means: "deceased" }] },
      /own\.errors\[0\]\.means must be one of dead/,
    ],
    [
      "a verdict of a status alone",
      { ...endpoints, errors: [{ status: 404, means: "dead" }] },
      /own\.errors\[0\] needs "code" or "text": a status alone is no verdict/,
    ],
    [
      "an error that fits everything",
      { ...endpoints, errors: [{ means: "busy" }] },
      /own\.errors\[0\] needs "status", "code" or "text"/,
    ],
    [
      "a misspelt field of an error",
      { ...endpoints, errors: [{ status: 404, cod: "x", means: "busy" }] },
      /own\.errors\[0\]\.cod is not a field of an error/,
    ],
    [
      "an error whose status is a text",
      { ...endpoints, errors: [{ status: "404", means: "busy" }] },
      /own\.errors\[0\]\.status must be a status from 200 to 599/,
    ],
    ["errors that are no list", { ...endpoints, errors: {} }, /own\.errors must be a list/],
    [
      "a refresh token that may or may not",
      { ...endpoints, refresh_token: "maybe" },
      /own\.refresh_token must be one of required, optional/,
    ],
    ["an issuer that is no URL", { issuer: "id.example" }, /no metadata of issuer id\.example/],
  ])("%s", async (_, own, message) => {
    const { problems } = await catalogOf({ own }, {});
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]).toEqual({
      setting: "SMARTDASH_PROVIDERS",
      message: expect.stringMatching(message),
    });
  });
});

describe("a wrong own MCP server is reported:", () => {
  const url = "https://mcp.own.example/mcp";
  test.each([
    ["no object", "text", /own must be an object/],
    ["no url", { credential: "none" }, /own\.url must be an http/],
    ["no credential", { url }, /own\.credential must be/],
    ["an empty key", { url, credential: { key: "" } }, /own\.credential must be/],
    ["an unknown word as credential", { url, credential: "some" }, /own\.credential must be/],
    [
      "a provider that is not there",
      { url, credential: { provider: "x" } },
      /there is no provider x/,
    ],
  ])("%s", async (_, own, message) => {
    const { problems } = await catalogOf({}, { own });
    expect(problems).toEqual([
      { setting: "SMARTDASH_UPSTREAMS", message: expect.stringMatching(message) },
    ]);
  });

  test("a default that is not there", () => {
    const { config } = loadConfig({ SMARTDASH_DEFAULT_UPSTREAM: "nowhere" });
    expect(buildCatalog(config).problems).toEqual([
      {
        setting: "SMARTDASH_DEFAULT_UPSTREAM",
        message: expect.stringContaining("mercadolibre"),
      },
    ]);
  });
});

test.each([
  [{ titel: "Live" }, /^live\.titel is not one of url, title, credential, tools$/],
  [{ title: 5 }, /^live\.title must be a text$/],
  [
    { credential: { key: "k", heeder: "X-Key" } },
    /^live\.credential\.heeder is not one of key, header, scheme$/,
  ],
  [
    { credential: { provider: "airtable", key: "k" } },
    /^live\.credential\.key is not one of provider$/,
  ],
  [
    { credential: { key: "k", header: "X Key" } },
    /^live\.credential\.header must be the name of a header$/,
  ],
  [{ credential: { key: "k", header: 5 } }, /^live\.credential\.header must be/],
  [{ credential: { key: "hunter2\nx" } }, /^live\.credential\.key holds what no header may hold/],
  [
    { credential: { key: "k", scheme: "Bear\rer" } },
    /^live\.credential\.scheme holds what no header may hold/,
  ],
  [{ credential: { key: "k", scheme: 5 } }, /^live\.credential\.scheme must be a text$/],
])("%j of an upstream is told, not passed over", async (wrong, told) => {
  const live = { url: "http://127.0.0.1:9/mcp", credential: "none", ...wrong };
  const { problems } = await catalogOf({}, { live });
  expect(problems).toEqual([
    { setting: "SMARTDASH_UPSTREAMS", message: expect.stringMatching(told) },
  ]);
  expect(JSON.stringify(problems)).not.toContain("hunter2");
});
