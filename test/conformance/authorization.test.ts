import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { personDecides } from "#test/clients/emulators/person.ts";
import { registerAgent } from "#test/support/agent-like.ts";
import { newVisitor } from "#test/support/browser-like.ts";
import { freePort } from "#test/support/process.ts";
import { openWorld } from "#test/support/world.ts";

const entry = fileURLToPath(import.meta.resolve("@modelcontextprotocol/conformance/dist/index.js"));

const document = "https://chatgpt.com/oauth/codex/client.json";
const runs = [
  { name: "a registered client, no resource", clientId: undefined, path: undefined },
  { name: "a registered client, for the bare address", clientId: undefined, path: "/mcp" },
  { name: "a client with a document", clientId: document, path: "/mcp/mercadolibre" },
] as const;

for (const { name, clientId, path } of runs) {
  test(`the official authorization checks pass: ${name}`, async () => {
    await using world = await openWorld();
    const port = await freePort();
    const redirectUri = `http://127.0.0.1:${port}/callback`;
    const known = clientId ?? (await registered(world.url, redirectUri));
    const resource = path === undefined ? [] : ["--resource", `${world.url}${path}`];
    const room = await mkdtemp(join(tmpdir(), "conformance-"));
    try {
      const run = startChecks(world.url, ["--client-id", known, ...resource], { port, room });
      const address = await run.address;
      expect(new URL(address).searchParams.get("resource")).toBe(
        path === undefined ? null : `${world.url}${path}`,
      );
      const { pages, back } = await personDecides(newVisitor(), { address, redirectUri });
      expect(pages).toEqual(["connect", "login", "consent"]);
      expect((await fetch(back!)).status).toBe(200);
      const { exitCode, output } = await run.ended();
      expect(exitCode, output).toBe(0);
      expect(await checksIn(room)).toEqual([
        "authorization-code-grant SUCCESS",
        "authorization-server-metadata SUCCESS",
        "authorization-server-metadata-cimd SUCCESS",
      ]);
    } finally {
      await rm(room, { recursive: true });
    }
  });
}

async function registered(url: string, redirectUri: string): Promise<string> {
  return (await registerAgent(url, { redirect_uris: [redirectUri] })).client_id;
}

/** Starts the suite in a process of its own; `address` is what it tells a person to open. */
function startChecks(
  issuer: string,
  args: readonly string[],
  where: { readonly port: number; readonly room: string },
) {
  const options = ["--url", issuer, ...args, "-p", String(where.port), "-o", where.room];
  const child = Bun.spawn([process.execPath, entry, "authorization", ...options], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 45_000,
    killSignal: "SIGKILL",
  });
  const errors = new Response(child.stderr).text();
  const address = Promise.withResolvers<string>();
  const output = readOutput(child.stdout, address.resolve).then((text) => {
    address.reject(new Error(`it ended before it said where to go: ${text}`));
    return text;
  });
  return {
    address: address.promise,
    ended: async () => ({
      exitCode: await child.exited,
      output: (await output) + (await errors),
    }),
  };
}

async function readOutput(
  stream: ReadableStream<Uint8Array>,
  tell: (address: string) => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const address = /^(http\S+\/authorize\?\S+)\n/m.exec(text)?.[1];
    if (address !== undefined) tell(address);
  }
  return text;
}

async function checksIn(room: string): Promise<readonly string[]> {
  const all = await Promise.all(
    (await readdir(room)).map(async (folder) => {
      const checks: unknown = await Bun.file(join(room, folder, "checks.json")).json();
      if (!Array.isArray(checks)) throw new Error(`the checks of ${folder} are not a list`);
      return checks.map(({ id, status }) => `${id} ${status}`);
    }),
  );
  return all.flat().toSorted();
}
