import { expect, test } from "bun:test";
import { redirectKind } from "#src/oauth-server/clients/redirect-uris.ts";
import { isCanonicalUrl } from "#src/http/public-url.ts";

test.each([
  "https://agent.example",
  "https://agent.example/",
  "https://agent.example?x=1",
  "https://agent.example/callback",
  "https://agent.example:8443/callback?x=%2F",
  "http://localhost:8787/callback",
  "http://127.0.0.1/callback",
  "http://[::1]:80/callback",
  "http://localhost:80",
  "cursor://anysphere.cursor-mcp/oauth/callback",
  "vscode://vscode.github-authentication/did-authenticate",
])("%s is a redirect URI", (text) => {
  expect(["web", "loopback", "private"]).toContain(redirectKind(text));
});

test.each([
  "https:/auth/callback",
  "https:auth.example/callback",
  "https:///auth.example/callback",
  "https:\\\\auth.example/callback",
  "https://auth.example:443/callback",
  "https://AUTH.example/callback",
  "HTTPS://auth.example/callback",
  "https://auth.example/a/../callback",
  "https://auth.example/./callback",
  "https://auth.example/%2e%2e/callback",
  "https://user@auth.example/callback",
  "https://:password@auth.example/callback",
  "https://auth.example/callback#",
  "https://auth.example/ callback",
  "https://auth.example\t/callback",
  "https://xn--/callback",
  "https://0x7f.1/callback",
  "http://127.1/callback",
  "http://2130706433/callback",
  "http://localhost:080/callback",
  "http:/localhost/callback",
  "https://ａuth.example/callback",
])("%j is written in no form that everybody reads alike, and is no redirect URI", (text) => {
  expect(redirectKind(text)).toBe("refused");
});

test("what is no address at all is none", () => {
  for (const text of ["", "callback", "/callback", "//auth.example", "https://"]) {
    expect(isCanonicalUrl(text)).toBe(false);
  }
});
