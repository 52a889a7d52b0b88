import { expect, test } from "bun:test";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld, type World } from "#test/support/world.ts";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { binary, newFolder, root, start } from "./program.ts";

/** The compiled binary, beside the gateway of the world. */
async function run(world: World, ...words: string[]) {
  const environment = { ...world.environment, PUBLIC_URL: world.url, LOG_LEVEL: "error" };
  await using program = start([binary(), ...words], { cwd: root, environment });
  const { exit, stdout, stderr } = await program.ended();
  return { exit, stdout, stderr };
}

async function token(world: World, fields: Record<string, string>): Promise<Response> {
  return await fetch(`${world.url}/mcp/auth/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ grant_type: "client_credentials", ...fields }),
  });
}

test("an agent that the operator adds acts on its account until it is removed", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const added = await run(
    world,
    ..."agents add --account mercadolibre:100200300 --upstreams mercadolibre".split(" "),
    ..."--agent-type claude --json --name".split(" "),
    "Stock robot",
    "--scope",
    "mcp:read mcp:call",
  );
  expect(added.exit).toBe(0);
  const client = JSON.parse(added.stdout) as { client_id: string; client_secret: string };
  const answer = (await (await token(world, client)).json()) as {
    access_token: string;
    scope: string;
  };
  expect(answer.scope).toBe("mcp:read mcp:call");
  const call = () => post(`${world.url}/mcp`, answer.access_token, toolCall("whoami"));
  expect(await (await call()).text()).toContain("TIENDA_DEMO");
  const listed = await run(world, "agents", "list");
  expect(listed.stdout).toMatch(
    new RegExp(`^${client.client_id}  [\\d-]{10}  Stock robot  mercadolibre\\n$`),
  );
  expect(listed.stdout).not.toContain(client.client_secret);
  expect((await run(world, "agents", "remove", "--client", client.client_id)).exit).toBe(0);
  expect((await call()).status).toBe(401);
  const again = await run(world, "agents", "remove", "--client", client.client_id);
  expect(again.exit).not.toBe(0);
  expect(again.stderr).toContain("smartdash agents list");
});

test("a wish that cannot be is refused with what would be right", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const account = "mercadolibre:100200300";
  const wishes = [
    [["--upstreams", "nowhere"], "Known: mercadolibre"],
    [["--account", account, "--upstreams", "airtable"], "needs an account at airtable"],
    [["--account", "mercadolibre:999"], "provider:seller"],
    [["--scope", "mcp:everything"], "mcp:read, mcp:call, mcp:resources"],
    [["--redirect-uris", "http://evil.example/cb"], "redirect URI"],
    [["--jwks", "/no/such/file"], "JSON Web Key Set"],
    [["--frob"], "does not know --frob"],
  ] as const;
  for (const [words, hint] of wishes) {
    const refused = await run(world, "agents", "add", "--name", "x", ...words);
    expect(refused.exit).toBe(2);
    expect(refused.stderr).toContain(hint);
    expect(refused.stdout).toBe("");
  }
});

test("an option without its value is a mistake, not an empty one, and changes nothing", async () => {
  await using world = await openWorld();
  const subject = "agent:agent_x";
  expect((await run(world, "tools", "policy", subject, "--deny", "pay")).exit).toBe(0);
  const lines = [
    ["tools", "policy", subject, "--deny"],
    ["tools", "policy", subject, "--deny", "--json"],
    ["tools", "policy", subject, "--allow="],
    ["tools", "policy", subject, "--allow", ""],
    ["tools", "policy", subject, "--allow", " ,"],
    ["switch", "off", "all", "--reason"],
    ["switch", "off", "all", "--reason", "--json"],
    ["revoke", "--agent", "--yes"],
    ["calls", "list", "--agent"],
    ["calls", "verify", "--day"],
  ];
  for (const words of lines) {
    const refused = await run(world, ...words);
    expect({ words, exit: refused.exit }).toEqual({ words, exit: 2 });
    expect(refused.stdout + refused.stderr).toMatch(/needs a value|names no tool/);
  }
  const { stdout } = await run(world, "tools", "policies", "--json");
  expect(JSON.parse(stdout).policies).toMatchObject([{ subject, allow: null, deny: ["pay"] }]);
  expect((await run(world, "switch", "off", "all", "--reason=--json")).exit).toBe(0);
  const on = await run(world, "switch", "on", "mercadolibre");
  expect(on.stdout).toContain("all is off");
});

test("a group whose command is missing or unknown says where its commands are", async () => {
  await using world = await openWorld();
  for (const [words, message] of [
    [["accounts", "lst"], "Unknown command: 'accounts lst'"],
    [["switch"], "smartdash switch needs a command"],
  ] as const) {
    const { exit, stderr } = await run(world, ...words);
    expect({ words, exit }).toEqual({ words, exit: 2 });
    expect(stderr).toContain(message);
    expect(stderr).toContain(`smartdash ${words[0]} --help lists its commands`);
  }
});

test("a day that no calendar has is no day", async () => {
  await using world = await openWorld();
  for (const day of ["2026-11-31", "2026-02-30", "2026-13-01", "yesterday"]) {
    const refused = await run(world, "calls", "verify", "--day", day);
    expect({ day, exit: refused.exit }).toEqual({ day, exit: 2 });
    expect(refused.stderr).toContain(`${day} is no day`);
  }
});

test("invite prints a link that lets one person in", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_SIGNUP: "invite" } });
  const { exit, stdout } = await run(world, "invite");
  expect(exit).toBe(0);
  const visitor = newVisitor();
  expect((await visitor.get(stdout.trim())).status).toBe(303);
  await connectSeller(visitor, { url: world.url });
});

test("keys rotate says which key signs from now on", async () => {
  await using world = await openWorld();
  const rotated = JSON.parse((await run(world, "keys", "rotate", "--json")).stdout) as {
    kid: string;
  };
  const { keys } = (await (await fetch(`${world.url}/jwks`)).json()) as { keys: { kid: string }[] };
  expect(keys.map(({ kid }) => kid)).toContain(rotated.kid);
});

test("help of a command within a group is about that command", async () => {
  await using world = await openWorld();
  expect((await run(world, "agents", "add", "--help")).stdout).toContain("--redirect-uris");
  const group = await run(world, "agents");
  expect(group.exit).toBe(2);
});

test("a command that finds no database says so and makes none", async () => {
  await using folder = await newFolder();
  const home = join(folder.path, "nowhere");
  for (const words of [["invite"], ["agents", "list"], ["keys", "rotate", "--lost"]]) {
    await using program = start([binary(), ...words], {
      cwd: root,
      environment: { SMARTDASH_HOME: home },
    });
    const { exit, stderr, stdout } = await program.ended();
    expect([words, exit, stdout]).toEqual([words, 2, ""]);
    expect(stderr).toContain("There is no smartdash database");
  }
  expect(existsSync(home)).toBe(false);
});
