import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { binary, start } from "#test/cli/program.ts";
import { forwardTcp } from "#test/cli/forwarder.ts";
import { runBeside } from "#test/cli/run.ts";
import { emptyDatabase } from "#test/support/database.ts";
import { freePort } from "#test/support/process.ts";
import { openWorld } from "#test/support/world.ts";
import { parseApp, parseMasterKey, sealFernet } from "./parse-like.ts";

setDefaultTimeout(10 * 60_000);

/**
 * Against a real parse-server, which is 190 MB: only with SMARTDASH_REAL_PARSE=1. The first run puts it into
 * `node_modules/.cache`.
 */
const isWanted = process.env["SMARTDASH_REAL_PARSE"] === "1";
const folder = join(import.meta.dir, "../../node_modules/.cache/parse-server");

const program = `
const express = require("express");
const { ParseServer } = require("parse-server");
(async () => {
  const [databaseURI, port, appId, masterKey] = process.argv.slice(2);
  const server = new ParseServer({ databaseURI, appId, masterKey, restAPIKey: "rest", masterKeyIps: ["127.0.0.1", "::1"],
    serverURL: "http://127.0.0.1:" + port + "/parse", allowClientClassCreation: true, verbose: false, silent: true });
  await server.start();
  const app = express();
  app.use("/parse", server.app);
  app.listen(Number(port), "127.0.0.1", () => console.log("parse is ready"));
})();
`;

async function installed(): Promise<string> {
  await mkdir(folder, { recursive: true });
  if (!existsSync(join(folder, "node_modules/parse-server"))) {
    const packages = ["parse-server@9.10.0", "express@5", "router@2.2.0"];
    const command = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", ...packages];
    const child = Bun.spawn(command, { stdout: "ignore", stderr: "inherit" });
    expect(await child.exited).toBe(0);
  }
  const file = join(folder, "serve.cjs");
  await Bun.write(file, program);
  return file;
}

test.skipIf(!isWanted)(
  "500 tokens of a real parse-server, 5 of them stale, killed half-way and resumed",
  async () => {
    const file = await installed();
    await using database = await emptyDatabase();
    await using forwarder = await forwardTcp(database.url);
    const port = await freePort();
    const node = Bun.which("node") ?? "node";
    const command = [node, file, forwarder.url, String(port), parseApp, parseMasterKey];
    await using parse = start(command, { cwd: folder });
    await parse.says(/parse is ready/);
    const url = `http://127.0.0.1:${port}/parse`;

    await using world = await openWorld({ tokenMs: 5 });
    const provider = world.sandbox.providers.get("mercadolibre")!;
    const key = randomBytes(32);
    const headers = {
      "content-type": "application/json",
      "x-parse-application-id": parseApp,
      "x-parse-rest-api-key": "rest",
    };
    for (let at = 0; at < 500; at++) {
      const id = String(500_000_000 + at);
      const issued = provider.grants.issue({ id, name: `SHOP_${at}`, site: "MLA" });
      if (at < 5) provider.grants.redeem(issued.refresh);
      const payload = {
        access_token: issued.access,
        refresh_token: issued.refresh,
        user_id: Number(id),
      };
      const expires = { __type: "Date", iso: new Date().toISOString() };
      const body = {
        user_id: id,
        tokens: sealFernet(JSON.stringify(payload), key),
        scope: "read",
        expires_at: expires,
      };
      const made = await fetch(`${url}/classes/UserToken`, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      expect(made.status).toBe(201);
    }
    const settings = {
      PARSE_SERVER_URL: url,
      PARSE_APP_ID: parseApp,
      PARSE_MASTER_KEY: parseMasterKey,
      PARSE_FERNET_KEYS: key.toString("base64url"),
    };
    const words = ["import", "back4app", "--provider", "mercadolibre", "--json", "--cut-over"];
    const dry = await runBeside(world, [...words.slice(0, -1), "--dry-run"], settings);
    expect(dry.json).toMatchObject({ readable: 500, worldReadable: true });
    expect(dry.stderr).toContain("curl -X PUT");

    const environment = { ...world.environment, ...settings, PUBLIC_URL: world.url };
    const home = world.environment["SMARTDASH_HOME"] ?? "";
    const first = start([binary(), ...words], { cwd: home, environment });
    while (provider.asked.refresh_token < 250) await Bun.sleep(5);
    process.kill(first.pid, "SIGKILL");
    await first.ended();
    const done = await runBeside(world, [...words, "--delete-source"], settings);
    const lost = Number(done.json["stale"]) - 5;
    console.log(`real parse-server: ${done.stdout.trim()}; lost in flight: ${lost}`);
    expect(lost).toBeLessThanOrEqual(4);
    expect(Number(done.json["imported"])).toBe(495 - lost);
  },
);
