import { expect, test } from "bun:test";
import { createServer } from "node:tls";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FetchRefused, createGuardedFetch } from "#src/http/guarded-fetch.ts";
import { isPublicAddress } from "#src/http/address.ts";
import { openWorld } from "#test/support/world.ts";
import { ask, isAccepted, openDevelopmentWorld, serveDocuments } from "./documents.ts";
import { type Listener, countConnections } from "./setup.ts";

const special = [
  "127.0.0.1",
  "127.255.255.254",
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "10.255.255.255",
  "100.64.0.1",
  "100.127.255.255",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.1",
  "192.0.2.1",
  "192.168.0.1",
  "198.18.0.1",
  "198.51.100.1",
  "203.0.113.1",
  "224.0.0.1",
  "239.255.255.250",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::ffff:10.0.0.1",
  "::ffff:8.8.8.8",
  "::127.0.0.1",
  "64:ff9b::7f00:1",
  "64:ff9b:1::1",
  "100::1",
  "2001::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "3fff::1",
  "5f00::1",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "fe80::1%lo",
  "fec0::1",
  "ff02::1",
];

/** What a fetch ends with; a listener of ours stands behind every address that it could reach by mistake. */
async function refusal(fetching: Promise<unknown>): Promise<string> {
  return await fetching.then(
    () => "answered",
    (error: unknown) => (error instanceof FetchRefused ? error.reason : String(error)),
  );
}

const mostBytes = 5 * 1024;
const answersFrom =
  (...addresses: readonly string[]) =>
  () =>
    Promise.resolve(addresses);

test("SS-1: addresses that are not of the public internet are known for what they are", () => {
  expect(special.filter(isPublicAddress)).toEqual([]);
  const open = ["8.8.8.8", "100.128.0.1", "172.32.0.1", "11.0.0.1", "2606:4700::1", "2a00:1450::1"];
  expect(open.filter(isPublicAddress)).toEqual(open);
  const none = ["", "localhost", "2130706433", "0x7f.1", "127.1", "8.8.8.8:80", "[::1]"];
  expect(none.filter(isPublicAddress)).toEqual([]);
});

test("SS-1: no socket is opened when a name stands for any such address", async () => {
  using listener = countConnections();
  // Loopback is let through and comes first: whoever overlooks the second address would come to our listener.
  for (const address of special.filter((each) => !/127\.|^::1$|7f00/.test(each))) {
    const resolve = answersFrom("127.0.0.1", address);
    const guarded = createGuardedFetch({ allowsLoopback: true, resolve, limitMs: 1000 });
    const ended = await refusal(guarded(`http://name.test:${listener.port}/x`, mostBytes));
    expect([address, ended]).toEqual([address, "not a public address"]);
  }
  expect(listener.connections()).toBe(0);
  const resolve = answersFrom("127.0.0.1", "127.0.0.2");
  const guarded = createGuardedFetch({ allowsLoopback: true, resolve, limitMs: 1000 });
  await refusal(guarded(`http://name.test:${listener.port}/x`, mostBytes));
  expect(listener.connections()).toBe(1);
});

/** Spellings of this very machine. */
const spellings = [
  "127.0.0.1",
  "127.1",
  "2130706433",
  "017700000001",
  "0177.0.0.1",
  "0x7f000001",
  "0x7f.0.0.1",
  "0",
  "0.0.0.0",
  "127.0.0.1.",
  "localhost",
  "LOCALHOST",
  "lOcAlHoSt.",
  "[::1]",
  "[0:0:0:0:0:0:0:1]",
  "[::]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::127.0.0.1]",
  "[64:ff9b::7f00:1]",
  "127%2e0%2e0%2e1",
  "%31%32%37.0.0.1",
  "１２７.0.0.1",
  "127。0。0。1",
  "ⓛocalhost",
];

test("SS-2: however this machine is spelled, the guarded fetch opens no socket to it", async () => {
  using listener = countConnections();
  using other = countConnections("::1");
  const guarded = createGuardedFetch({
    allowsLoopback: false,
    limitMs: 1000,
    resolve: (hostname) =>
      Promise.resolve(hostname === "localhost" ? ["127.0.0.1", "::1"] : [hostname]),
  });
  for (const host of spellings) {
    for (const { port } of [listener, other]) {
      expect(await refusal(guarded(`https://${host}:${port}/x`, mostBytes))).not.toBe("answered");
      expect(await refusal(guarded(`http://${host}:${port}/x`, mostBytes))).toBe("not https");
    }
  }
  expect([listener.connections(), other.connections()]).toEqual([0, 0]);
});

test("SS-2: nor does a gateway in production, asked through its authorization endpoint", async () => {
  using listener = countConnections();
  using other = countConnections("::1");
  await using world = await openWorld({ environment: { SMARTDASH_CLIENT_DOCUMENTS: "fetch" } });
  for (const host of spellings) {
    for (const { port } of [listener, other]) {
      for (const scheme of ["https", "http"]) {
        const clientId = `${scheme}://${host}:${port}/client.json`;
        expect([clientId, await isAccepted(world.url, clientId)]).toEqual([clientId, false]);
      }
    }
  }
  expect([listener.connections(), other.connections()]).toEqual([0, 0]);
});

test("SS-3: a name that stands for a good and a bad address is refused, in whichever order", async () => {
  using listener = countConnections();
  // Whatever a mistake would lead to is this machine: 0.0.0.0 is no loopback address, yet leads here.
  const mixed = [
    ["127.0.0.1", "10.0.0.1"],
    ["0.0.0.0", "127.0.0.1"],
    ["127.0.0.1", "::1", "fd00::1"],
    ["127.0.0.1", ""],
    ["127.0.0.1", "localhost"],
    [],
  ];
  for (const addresses of mixed) {
    const resolve = answersFrom(...addresses);
    const guarded = createGuardedFetch({ allowsLoopback: true, resolve, limitMs: 1000 });
    const ended = await refusal(guarded(`http://name.test:${listener.port}/x`, mostBytes));
    expect([addresses, ended]).toEqual([addresses, "not a public address"]);
  }
  expect(listener.connections()).toBe(0);
});

test("SS-3: the connection goes to the checked address, under the name that was asked", async () => {
  const hosts: (string | null)[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ headers }) => {
      hosts.push(headers.get("host"));
      return Response.json({ found: true });
    },
  });
  let questions = 0;
  const guarded = createGuardedFetch({
    allowsLoopback: true,
    // The second answer would be another address.
    resolve: () => Promise.resolve(++questions === 1 ? ["127.0.0.1"] : ["10.0.0.1"]),
  });
  const { status, text } = await guarded(`http://name.test:${server.port}/x`, mostBytes);
  expect([status, text, questions]).toEqual([200, '{"found":true}', 1]);
  expect(hosts).toEqual([`name.test:${server.port}`]);
  await server.stop(true);
});

test("SS-3: over TLS the name is asked for and proven, at the checked address", async () => {
  const folder = join(import.meta.dir, "../http/certificates");
  const names: string[] = [];
  let requests = 0;
  const server = createServer(
    {
      cert: readFileSync(join(folder, "localhost.pem")),
      key: readFileSync(join(folder, "localhost.key")),
      SNICallback: (name, done) => {
        names.push(name);
        done(null);
      },
    },
    (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => (requests += 1));
    },
  );
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const resolve = answersFrom("127.0.0.1");
  const guarded = createGuardedFetch({ allowsLoopback: true, resolve, limitMs: 2000 });
  const ended = await refusal(guarded(`https://name.test:${port}/x`, mostBytes));
  expect(ended).toMatch(/CERT|SELF_SIGNED|UNABLE|ALTNAME|ISSUER/);
  expect(requests).toBe(0);
  expect(names).toEqual(["name.test"]);
  server.close();
});

test("SS-4: a redirect is no answer and is not followed", async () => {
  await using world = await openDevelopmentWorld();
  using listener = countConnections();
  for (const status of [301, 302, 303, 307, 308]) {
    await using served = serveDocuments(
      () =>
        new Response(null, {
          status,
          headers: { location: `http://127.0.0.1:${listener.port}/client.json` },
        }),
    );
    expect(await isAccepted(world.url, `${served.origin}/client.json`)).toBe(false);
    expect(served.asked).toEqual(["/client.json"]);
  }
  expect(listener.connections()).toBe(0);
});

test("SS-7: an id that readers could understand differently is refused before anything is fetched", async () => {
  await using world = await openDevelopmentWorld();
  using listener: Listener = countConnections();
  const at = `127.0.0.1:${listener.port}`;
  const ids = [
    `http://user@${at}/client.json`,
    `http://user:word@${at}/client.json`,
    `http://evil.example@${at}/client.json`,
    `http://${at}/client.json#part`,
    `http://${at}/client.json#`,
    `http://${at}/a/../client.json`,
    `http://${at}/a/./client.json`,
    `http://${at}/..`,
    `http://${at}/a/%2e%2e/client.json`,
    `http://${at}/a/%2E%2e/client.json`,
    `http://${at}/a/.%2e/client.json`,
    `http://${at}/a/%2e/client.json`,
    `http://${at}\\client.json`,
    `http:\\\\${at}\\client.json`,
    `http:/${at}/client.json`,
    `http:${at}/client.json`,
    `http:///${at}/client.json`,
    `http://${at}`,
    `http://${at}/`,
    `http://${at}/?client.json`,
    `HTTP://${at}/client.json`,
    ` http://${at}/client.json`,
    `http://${at}/client.json `,
    `http://${at}/client\n.json`,
    `http://${at}/client\t.json`,
    `http://${at}/clïent.json`,
    `http://${at}/${"x".repeat(600)}`,
    `ftp://${at}/client.json`,
    `file:///etc/passwd`,
  ];
  for (const id of ids) expect([id, await isAccepted(world.url, id)]).toEqual([id, false]);
  expect(listener.connections()).toBe(0);
  expect(await isAccepted(world.url, `http://${at}/client.json`)).toBe(false);
  expect(listener.connections()).toBe(1);
});

test("SS-7: outside development an http id is refused, whatever it names", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_CLIENT_DOCUMENTS: "fetch" } });
  using listener = countConnections();
  const clientId = `http://127.0.0.1:${listener.port}/client.json`;
  expect((await ask(world.url, clientId)).status).toBe(400);
  expect(listener.connections()).toBe(0);
});
