import { expect, spyOn, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TLSSocket, connect } from "node:tls";
import { openNodeKey } from "#src/crypto/node-key.ts";
import { createSeal } from "#src/crypto/seal.ts";
import { ownCertificate } from "#src/crypto/self-signed.ts";
import { startBeside } from "#test/attacks/setup.ts";
import { runBeside } from "#test/cli/run.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { openWorld } from "#test/support/world.ts";
import { type TestNode, anyCertificate, befriend, callTool, openNode } from "./nodes.ts";
import { until } from "#test/support/until.ts";

/** Its words; empty when nothing failed. */
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => "",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

type Version = "TLSv1.2" | "TLSv1.3";

/** What a new connection is shown. */
async function shown(url: string, version: Version = "TLSv1.3") {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect(
    {
      host: "127.0.0.1",
      port: Number(new URL(url).port),
      servername: "localhost",
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    },
    () => resolve(socket),
  );
  socket.once("error", reject);
  try {
    const { raw } = (await promise).getPeerCertificate();
    return {
      protocol: socket.getProtocol(),
      certificate: new X509Certificate(raw).fingerprint256.replaceAll(":", "").toLowerCase(),
    };
  } finally {
    socket.destroy();
  }
}

/** A certificate and its key, as files. */
async function newPair(folder: string) {
  const seal = createSeal([new Uint8Array(32)]);
  const key = openNodeKey(await temporaryFolder(), seal);
  const pair = await ownCertificate(await temporaryFolder(), key, {
    hostname: "localhost",
    now: new Date(),
  });
  writeFileSync(join(folder, "cert.pem"), pair.certificate);
  writeFileSync(join(folder, "key.pem"), pair.key.reveal());
  return new X509Certificate(pair.certificate).fingerprint256.replaceAll(":", "").toLowerCase();
}

test("a node's own certificate: made once, TLS 1.3 alone, its fingerprint is what the operator reads", async () => {
  await using node = await openNode("first", { TLS_SELF_SIGNED: "on" });
  expect(node.url).toStartWith("https://localhost:");
  const { json } = await node.run("node", "show", "--json");
  expect(await shown(node.url)).toEqual({
    protocol: "TLSv1.3",
    certificate: String(json["certificate"]),
  });
  expect(await failureOf(shown(node.url, "TLSv1.2"))).not.toBe("");
  await using older = await startBeside(node.world, { TLS_MIN_VERSION: "1.2" });
  expect((await shown(older.url, "TLSv1.2")).protocol).toBe("TLSv1.2");
  const listening = { PORT: new URL(node.url).port, TLS_SELF_SIGNED: "on" };
  const healthy = await runBeside(node.world, ["health"], listening);
  expect([healthy.exit, healthy.json["status"]]).toEqual([0, "pass"]);
  // Whoever asks for the port of another gateway is told, although two may share it while one takes over.
  const port = new URL(node.url).port;
  expect(await failureOf(startBeside(node.world, { PORT: port }))).toContain(
    "cannot be listened on",
  );
});

test("a new certificate is taken while streams go on, and one that does not fit its key is not", async () => {
  const folder = await temporaryFolder();
  const first = await newPair(folder);
  await using node = await openNode("first", {
    TLS_CERT_FILE: join(folder, "cert.pem"),
    TLS_KEY_FILE: join(folder, "key.pem"),
    STREAM_KEEPALIVE_MS: "500",
  });
  expect((await shown(node.url)).certificate).toBe(first);
  const stream = await listen(node);
  const warned = spyOn(node.world.app.log, "warn");
  const taken = spyOn(node.world.app.log, "info");
  const other = await temporaryFolder();
  const second = await newPair(other);
  // The certificate alone: its key is still the older one.
  copyFileSync(join(other, "cert.pem"), join(folder, "cert.pem"));
  await until(() => warned.mock.calls.length === 1, "the gateway looks at the files");
  expect((await shown(node.url)).certificate).toBe(first);
  copyFileSync(join(other, "key.pem"), join(folder, "key.pem"));
  await until(
    () => taken.mock.calls.some(([event]) => event === "certificate_taken"),
    "it is taken",
  );
  expect((await shown(node.url)).certificate).toBe(second);
  rmSync(join(folder, "cert.pem"));
  const before = stream.bytes();
  await until(() => warned.mock.calls.length === 2, "the gateway looks at the files again");
  expect((await shown(node.url)).certificate).toBe(second);
  await until(() => stream.bytes() > before, "the stream goes on");
  expect(stream.isOpen()).toBe(true);
  // Stopping ends what the older listener still serves, too.
  const began = performance.now();
  await node.world.gateway.stop();
  expect(performance.now() - began).toBeLessThan(5000);
  await until(() => !stream.isOpen(), "the stream ends");
}, 60_000);

/** The node's notifications, as they come. */
async function listen(node: TestNode) {
  const ending = new AbortController();
  const response = await fetch(`${node.url}/mcp/node/${node.nodeId}/stream`, {
    headers: { authorization: `Bearer ${await node.bearer()}` },
    signal: ending.signal,
    ...anyCertificate,
  });
  expect(response.status).toBe(200);
  let [bytes, isOpen] = [0, true];
  const read = async () => {
    for await (const part of response.body ?? []) bytes += part.length;
  };
  void read()
    .catch(() => undefined)
    .finally(() => (isOpen = false));
  return { bytes: () => bytes, isOpen: () => isOpen, close: () => ending.abort() };
}

test("trusted nodes with certificates of their own call each other; another certificate is refused", async () => {
  await using first = await openNode("first", { TLS_SELF_SIGNED: "on" });
  await using third = await openNode("third", { TLS_SELF_SIGNED: "on" });
  await befriend(first, third);
  const bearer = await first.bearer();
  const call = () => callTool(first, bearer, { node: third.nodeId, name: "x" });
  const answer = await call();
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { content: [{ type: "text", text: "third x" }] },
  ]);
  const { json } = await first.run("peers", "connect", third.nodeId, "--json");
  expect(json["certificate"]).toBe((await shown(third.url)).certificate);
  const wrong = "ab".repeat(32);
  await first.run("peers", "trust", third.peerId, "--address", third.url, "--certificate", wrong);
  const refused = await call();
  expect([refused.status, await refused.text()]).toEqual([
    502,
    expect.stringContaining("peer_not_proven"),
  ]);
  expect(await fetch(`${first.url}/livez`, anyCertificate)).toMatchObject({ status: 200 });
});

test("half of a pair, or files that do not fit, end the start with words", async () => {
  await using world = await openWorld();
  const folder = await temporaryFolder();
  await newPair(folder);
  const certificate = join(folder, "cert.pem");
  expect(await failureOf(startBeside(world, { PORT: "0", TLS_CERT_FILE: certificate }))).toContain(
    "TLS_KEY_FILE is required",
  );
  const both = { PORT: "0", TLS_CERT_FILE: certificate, TLS_KEY_FILE: certificate };
  expect(await failureOf(startBeside(world, both))).toContain("not PEM");
  expect(
    await failureOf(startBeside(world, { ...both, TLS_KEY_FILE: join(folder, "none.pem") })),
  ).toContain("cannot be read");
  // Two pairs, mixed; and a chain whose second part is nothing.
  const other = await temporaryFolder();
  await newPair(other);
  const mixed = { ...both, TLS_KEY_FILE: join(other, "key.pem") };
  expect(await failureOf(startBeside(world, mixed))).toContain("not that of the certificate");
  const chain = join(other, "chain.pem");
  const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  writeFileSync(chain, readFileSync(certificate, "utf8") + garbage);
  const broken = { ...both, TLS_CERT_FILE: chain, TLS_KEY_FILE: join(folder, "key.pem") };
  expect(await failureOf(startBeside(world, broken))).toContain("not PEM");
  const plain = { PORT: "0", TLS_SELF_SIGNED: "on", PUBLIC_URL: "http://localhost:9" };
  expect(await failureOf(startBeside(world, plain))).toContain("must be https");
});
