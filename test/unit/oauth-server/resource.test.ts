import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type Addressed,
  isSameResource,
  knownResource,
  originSeenBy,
  resourceOf,
} from "#src/oauth-server/resource.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { asFailure } from "#src/failure.ts";
import { check } from "#test/support/property.ts";

const upstreams = new Map(
  ["airtable", "mercadolibre"].map((name) => [name, { name } as Upstream] as const),
);

/** A gateway at this address, which is also known by `allowedHosts`. */
function gateway(publicUrl: string, ...allowedHosts: readonly string[]): Addressed {
  return {
    publicUrl,
    config: { allowedHosts } as unknown as Addressed["config"],
    catalog: { providers: new Map(), upstreams, defaultUpstream: "airtable" },
  };
}

const app = gateway("https://gateway.example.com", "other.example.com:8443");
const upstreamAt = (text: string, at = app) => knownResource(at, text)?.upstream.name;

test("every address of an upstream leads to it, under every name of ours, with or without a slash at its end", () => {
  const origins = ["https://gateway.example.com", "https://other.example.com:8443"];
  const paths = ["/mcp/airtable", "/api/mcp/airtable", "/mcp"];
  const addresses = [...origins, "HTTPS://Gateway.Example.com", "https://gateway.example.com:443"]
    .flatMap((origin) => paths.map((path) => origin + path))
    .flatMap((address) => [address, `${address}/`]);
  expect(addresses.filter((address) => upstreamAt(address) !== "airtable")).toEqual([]);
  expect(upstreamAt("https://gateway.example.com/mcp/mercadolibre")).toBe("mercadolibre");
});

test.each([
  "http://gateway.example.com/mcp",
  "https://gateway.example.com:8443/mcp",
  "https://other.example.com/mcp",
  "https://gateway.example.com.evil.example/mcp",
  "https://gateway.example.com@evil.example/mcp",
  "https://user@gateway.example.com/mcp",
  "https://user:pass@gateway.example.com/mcp",
  "https://:pass@gateway.example.com/mcp",
  "https:/gateway.example.com/mcp",
  "https:gateway.example.com/mcp",
  "https:\\\\gateway.example.com/mcp",
  "https://gateway.example.com/x/../mcp",
  "https://gateway.example.com/mcp?x=1",
  "https://gateway.example.com/mcp#x",
  "https://gateway.example.com/mcp#",
  "https://gateway.example.com/MCP",
  "https://gateway.example.com/mcp//",
  "https://gateway.example.com//mcp",
  "https://gateway.example.com/mcp/unknown",
  "https://gateway.example.com/mcp/airtable/x",
  "https://gateway.example.com/mcp/%61irtable",
  "https://gateway.example.com/",
  "/mcp",
  "mcp",
  "",
  "https://localhost/mcp",
])("%j is no resource of this gateway", (text) => {
  expect(knownResource(app, text)).toBeUndefined();
});

test("names of this machine stand for one another, with the port that is ours, while the public one is such a name", () => {
  const local = gateway("http://localhost:8000");
  const names = ["localhost", "127.0.0.1", "[::1]"].map((name) => `http://${name}:8000/mcp`);
  expect(names.map((name) => upstreamAt(name, local))).toEqual(Array(3).fill("airtable"));
  const others = [
    "http://localhost/mcp",
    "http://127.0.0.1:8001/mcp",
    "https://localhost:8000/mcp",
  ];
  expect(others.map((name) => upstreamAt(name, local))).toEqual([undefined, undefined, undefined]);
  expect(upstreamAt("http://evil.example:8000/mcp", local)).toBeUndefined();
});

test("one resource is asked for at a time, and without one it is the default upstream", () => {
  const refusal = (...asked: readonly string[]) => {
    try {
      return resourceOf(app, asked).url;
    } catch (error) {
      return asFailure(error).code;
    }
  };
  const own = "https://gateway.example.com/mcp";
  expect([refusal(), refusal(""), refusal("", own)]).toEqual([own, own, own]);
  expect([
    refusal(own, own),
    refusal(own, `${own}/airtable`),
    refusal("https://evil.example/mcp"),
  ]).toEqual(Array(3).fill("invalid_target"));
});

test("what was resolved resolves to itself", () => {
  const parts = fc.tuple(
    fc.constantFrom(
      "https://gateway.example.com",
      "HTTPS://GATEWAY.example.com:443",
      "https://x.example",
    ),
    fc.constantFrom(
      "/mcp",
      "/mcp/airtable",
      "/api/mcp/mercadolibre",
      "/x",
      "/mcp/../mcp",
      "/./mcp",
    ),
    fc.constantFrom("", "/", "?", "#"),
  );
  check(
    fc.property(parts, (text) => {
      const found = knownResource(app, text.join(""));
      if (found === undefined) return;
      expect(found.url).toStartWith("https://gateway.example.com/");
      expect(knownResource(app, found.url)).toEqual(found);
      expect(isSameResource(found.url, `${found.url}/`.replace(/\/\/$/, "/"))).toBeTrue();
    }),
    { cases: 100 },
  );
});

test("a client is answered under the name by which it came, where that is ours, else under the public one", () => {
  const seen = (host: string | undefined) =>
    originSeenBy(app, { headers: new Headers(host === undefined ? {} : { host }) } as Request);
  expect(seen("other.example.com:8443")).toBe("https://other.example.com:8443");
  const others = [
    "evil.example",
    "gateway.example.com:444",
    "localhost",
    "",
    "a b",
    "x/../",
    undefined,
  ];
  expect(others.map(seen)).toEqual(others.map(() => "https://gateway.example.com"));
});
