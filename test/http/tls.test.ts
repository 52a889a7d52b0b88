import { expect, test } from "bun:test";
import { join } from "node:path";

const certificates = join(import.meta.dir, "certificates");

function serveTls(name: string) {
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: {
      cert: Bun.file(join(certificates, `${name}.pem`)),
      key: Bun.file(join(certificates, `${name}.key`)),
    },
    fetch(request) {
      requests.push(request.url);
      return new Response(`hello from ${name}`);
    },
  });
  return {
    url: `https://localhost:${server.port}/`,
    requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

async function ask(
  urls: readonly string[],
  trust: Readonly<Record<string, string>>,
): Promise<string[]> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "ask.ts"), ...urls], {
    env: { ...process.env, ...trust },
    stdout: "pipe",
  });
  return (await new Response(child.stdout).text()).trim().split("\n");
}

test("a certificate counts only from a trusted authority and for the host that was asked", async () => {
  await using right = serveTls("localhost");
  await using wrong = serveTls("elsewhere.example");
  expect(await ask([right.url, wrong.url], {})).toEqual(["refused", "refused"]);
  expect([...right.requests, ...wrong.requests]).toEqual([]);
  const trust = { NODE_EXTRA_CA_CERTS: join(certificates, "authority.pem") };
  expect(await ask([right.url, wrong.url], trust)).toEqual(["hello from localhost", "refused"]);
  expect(wrong.requests).toEqual([]);
});
