import { expect, test } from "bun:test";
import { join } from "node:path";
import { binary, newFolder, start } from "#test/cli/program.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { pointedAt } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

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

test("the binary trusts an authority of NODE_EXTRA_CA_CERTS, and says of another certificate what is wrong with it", async () => {
  await using upstream = serveTls("localhost");
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const called = async (trust: Readonly<Record<string, string>>) => {
    await using folder = await newFolder();
    const environment = { ...world.environment, PUBLIC_URL: world.url, ...trust };
    await using gateway = start([binary(), "serve"], {
      cwd: folder.path,
      environment: { ...environment, SMARTDASH_HOME: folder.path, LOG_LEVEL: "info" },
    });
    const [, port = ""] = await gateway.says(/"port":(\d+)/);
    const answer = await post(`http://127.0.0.1:${port}/mcp`, bearer, toolCall("whoami"));
    const text = await answer.text();
    const [line] = await gateway.says(/^.*"event":"call".*$/m);
    return { status: answer.status, text, line };
  };
  expect(await called({ NODE_EXTRA_CA_CERTS: join(certificates, "authority.pem") })).toMatchObject({
    status: 200,
    text: "hello from localhost",
  });
  expect(await called({})).toMatchObject({
    status: 502,
    text: expect.stringContaining("The certificate of the MCP server is not trusted"),
    line: expect.stringContaining('"reason":"certificate not trusted ('),
  });
}, 30_000);
