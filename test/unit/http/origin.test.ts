import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { asFailure } from "#src/failure.ts";
import { createOriginCheck } from "#src/http/origin.ts";
import { atPublicUrl } from "#src/http/public-url.ts";
import { check } from "#test/support/property.ts";

const door = createOriginCheck({
  publicUrl: "https://gateway.example.com",
  allowedHosts: ["other.example.com:8443"],
  port: 8000,
});

function outcome(headers: Readonly<Record<string, string>>, isDeclared = false): string {
  try {
    door.check({ headers: new Headers(headers) } as Request, isDeclared);
    return "ours";
  } catch (error) {
    return asFailure(error).code;
  }
}

const ours = [
  "gateway.example.com",
  "GATEWAY.example.com",
  "other.example.com:8443",
  "localhost:8000",
  "127.0.0.1:8000",
  "[::1]:8000",
];
/** Another way to write the same (RFC 3986 section 6.2.3). */
const same = [
  "gateway.example.com:443",
  "gateway.example.com.",
  "Gateway.example.com.:443",
  "other.example.com.:8443",
];

test("the public name, the allowed ones and loopback with our port are ours", () => {
  const all = [...ours, ...same];
  expect(all.map((host) => outcome({ host }))).toEqual(all.map(() => "ours"));
});

test("no other Host is answered, however near it comes", () => {
  const near = fc
    .tuple(
      fc.constantFrom(...ours),
      fc.constantFrom(".", ":1", "@", "x", "/", "evil.", "..", "%00"),
    )
    .chain(([host, more]) => fc.constantFrom(host + more, more + host))
    .filter((host) => !same.includes(host.toLowerCase()));
  const changed = fc.constantFrom(
    "",
    "localhost",
    "localhost:80",
    "127.0.0.2:8000",
    "0.0.0.0:8000",
    "gateway.example.com:80",
    "gateway.example.com:4430",
    "gateway.example.com:443:443",
    "gateway.example.com:8000",
    "other.example.com",
    "other.example.com:443",
  );
  check(
    fc.property(fc.oneof(near, changed, fc.domain()), (host) => {
      expect(outcome({ host })).toBe("host_refused");
    }),
    { cases: 200 },
  );
  expect(outcome({})).toBe("host_refused");
});

test("only pages of ours may ask, unless the address was declared open to the page", () => {
  const host = "gateway.example.com";
  const own = ["https://gateway.example.com", "http://localhost:8000", "http://127.0.0.1:8000"];
  expect(own.map((origin) => outcome({ host, origin }))).toEqual(own.map(() => "ours"));
  const others = [
    "http://gateway.example.com",
    "https://gateway.example.com:444",
    "https://gateway.example.com.evil.example",
    "https://GATEWAY.example.com",
    "https://localhost:8000",
    "http://localhost",
    "null",
    "",
  ];
  expect(others.map((origin) => outcome({ host, origin }))).toEqual(
    others.map(() => "origin_refused"),
  );
  expect(outcome({ host, origin: "https://app.example.com" }, true)).toBe("ours");
});

test("`Origin: null` is ours only where the browser itself says that the page is", () => {
  const host = "gateway.example.com";
  const from = (site: string) => outcome({ host, origin: "null", "sec-fetch-site": site });
  expect(from("same-origin")).toBe("ours");
  expect(["same-site", "cross-site", "none", ""].map(from)).toEqual(
    Array(4).fill("origin_refused"),
  );
  const origin = "https://evil.example";
  expect(outcome({ host, origin, "sec-fetch-site": "same-origin" })).toBe("origin_refused");
});

const visit = (host: string | undefined, url: string) =>
  ({ url, headers: new Headers(host === undefined ? {} : { host }) }) as Request;

test("a browser at another name of this machine is sent to the public one, with path and query", () => {
  const from = (host: string) =>
    atPublicUrl("http://localhost:8000", visit(host, `http://${host}/a?b=c`));
  expect(from("127.0.0.1:8000")).toBe("http://localhost:8000/a?b=c");
  expect(from("[::1]:8000")).toBe("http://localhost:8000/a?b=c");
  expect(from("localhost:8000")).toBeUndefined();
});

test("nobody is sent from or to a name that is not of this machine", () => {
  const hosts = ["127.0.0.1:8000", "gateway.example.com", "", "a b", undefined];
  const sent = (publicUrl: string, host: string | undefined) =>
    atPublicUrl(publicUrl, visit(host, "http://x/a"));
  expect(hosts.map((host) => sent("https://gateway.example.com", host))).toEqual(
    hosts.map(() => undefined),
  );
  const others = ["localhost.evil.example:8000", "evil.example", "", "a b", undefined];
  expect(others.map((host) => sent("http://localhost:8000", host))).toEqual(
    others.map(() => undefined),
  );
});
