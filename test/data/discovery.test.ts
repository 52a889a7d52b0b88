import { describe, expect, test } from "bun:test";
import { catalogOf } from "./catalog-of.ts";

const authorize = "https://id.example/authorize";
const token = "https://id.example/token";

describe("an own provider that names its issuer", () => {
  test("gets its endpoints from the issuer's metadata (RFC 8414)", async () => {
    using issuer = serveIssuer({ "/.well-known/oauth-authorization-server": "" });
    const { catalog, problems } = await catalogOf({ own: { issuer: issuer.origin } }, {});
    expect(problems).toEqual([]);
    expect(catalog.providers.get("own")).toMatchObject({
      issuer: issuer.origin,
      endpoints: {
        authorize: `${issuer.origin}/authorize`,
        token: `${issuer.origin}/token`,
        identity: `${issuer.origin}/userinfo`,
      },
      revocation: { how: "rfc7009", url: `${issuer.origin}/revoke` },
    });
  });

  test("may have a path, which the metadata's address carries at its end", async () => {
    using issuer = serveIssuer({ "/.well-known/oauth-authorization-server/tenant": "/tenant" });
    const { problems } = await catalogOf({ own: { issuer: `${issuer.origin}/tenant` } }, {});
    expect(problems).toEqual([]);
  });

  test("may publish its metadata where OpenID Connect does", async () => {
    using issuer = serveIssuer({ "/tenant/.well-known/openid-configuration": "/tenant" });
    const { problems } = await catalogOf({ own: { issuer: `${issuer.origin}/tenant` } }, {});
    expect(problems).toEqual([]);
  });

  test("keeps what the settings say themselves", async () => {
    using issuer = serveIssuer({ "/.well-known/oauth-authorization-server": "" });
    const own = { issuer: issuer.origin, authorize };
    const { catalog } = await catalogOf({ own }, {});
    expect(catalog.providers.get("own")?.endpoints).toMatchObject({
      authorize,
      token: `${issuer.origin}/token`,
    });
  });

  test("is not asked when the settings name its endpoints", async () => {
    using issuer = serveIssuer({});
    const own = { authorize, token, identity: token, issuer: issuer.origin };
    const { problems } = await catalogOf({ own }, {});
    expect(problems).toEqual([]);
    expect(issuer.asked).toEqual([]);
  });

  test("is refused when the document is another issuer's", async () => {
    using issuer = serveIssuer({
      "/.well-known/oauth-authorization-server": "/somebody-else",
      "/.well-known/openid-configuration": "/",
    });
    await expectUndiscovered(issuer.origin);
    expect(issuer.asked).toHaveLength(2);
  });

  test("is refused when the document is elsewhere behind a redirect", async () => {
    using issuer = serveIssuer({ "/moved": "" });
    await expectUndiscovered(issuer.origin);
    expect(issuer.asked).not.toContain("/moved");
  });

  test("is refused when nobody answers", async () => {
    const issuer = serveIssuer({});
    issuer[Symbol.dispose]();
    await expectUndiscovered(issuer.origin);
  });
});

async function expectUndiscovered(issuer: string): Promise<void> {
  const { catalog, problems } = await catalogOf({ own: { issuer } }, {});
  expect(problems[0]).toEqual({
    setting: "SMARTDASH_PROVIDERS",
    message: expect.stringContaining(`own: no metadata of issuer ${issuer}`),
  });
  expect(catalog.providers.has("own")).toBeFalse();
}

/** An issuer on loopback. @param documents For each path, what follows the origin in the document's `issuer`. */
function serveIssuer(documents: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }) {
      const { pathname, origin } = new URL(url);
      asked.push(pathname);
      const suffix = documents[pathname];
      if (suffix !== undefined) return Response.json(metadataOf(origin, suffix));
      return "/moved" in documents
        ? Response.redirect("/moved")
        : new Response("", { status: 404 });
    },
  });
  return { origin: server.url.origin, asked, [Symbol.dispose]: () => void server.stop(true) };
}

function metadataOf(origin: string, suffix: string) {
  return {
    issuer: `${origin}${suffix}`,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    userinfo_endpoint: `${origin}/userinfo`,
    revocation_endpoint: `${origin}/revoke`,
  };
}
