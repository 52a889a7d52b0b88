import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Socket, connect, createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { explaining } from "#db/explain.ts";
import { type OpenDatabase, openDatabase } from "#db/open.ts";
import { DatabaseProblem } from "#db/problem.ts";
import { runBeside } from "#test/cli/run.ts";
import { testDatabase } from "#test/support/database.ts";
import { encryptionKey } from "#test/support/world.ts";

const certificates = join(import.meta.dir, "../http/certificates");
const authority = join(certificates, "authority.pem");

/** The test server over TCP, with TLS or without, as hosts offer it. */
async function front(url: string, speaksTls: boolean, name = "localhost") {
  const folder = new URL(url).searchParams.get("host") ?? "";
  const seen = { encrypted: 0, plain: 0 };
  const forward = (from: Socket, first: Buffer) => {
    const onward = connect(`${folder}/.s.PGSQL.5432`);
    onward.write(first);
    from.pipe(onward).pipe(from);
    for (const each of [from, onward]) each.on("error", () => from.destroy());
    for (const each of [from, onward]) each.on("close", () => (from.destroy(), onward.destroy()));
  };
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (first: Buffer) => {
      const isRequest = first.length === 8 && first.readInt32BE(4) === 80_877_103;
      if (!isRequest) {
        seen.plain += 1;
        return forward(socket, first);
      }
      socket.write(speaksTls ? "S" : "N");
      if (!speaksTls) {
        socket.once("data", (next: Buffer) => {
          // A ClientHello is no start of a session: PostgreSQL closes.
          if (next[0] === 0x16) {
            socket.destroy();
            return;
          }
          seen.plain += 1;
          forward(socket, next);
        });
        return;
      }
      const secured = new TLSSocket(socket, {
        isServer: true,
        cert: readFileSync(join(certificates, `${name}.pem`)),
        key: readFileSync(join(certificates, `${name}.key`)),
      });
      secured.on("error", () => socket.destroy());
      secured.once("data", (next: Buffer) => {
        seen.encrypted += 1;
        forward(secured, next);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const { username, password, pathname } = new URL(url);
  const at = (query: string, host = "localhost") =>
    `postgres://${username}:${password}@${host}:${port}${pathname}${query}`;
  return { at, port, seen, [Symbol.asyncDispose]: async () => void server.close() };
}

/** What a first question brings, or why it fails. */
async function asked(url: string): Promise<string> {
  let open: OpenDatabase | undefined;
  try {
    const { sql } = (open = openDatabase(url, 1));
    const [row] = await explaining(
      url,
      async () => await sql`select current_setting('application_name') as name`,
    );
    return String(row?.["name"]);
  } catch (told) {
    return told instanceof DatabaseProblem ? `${told.code}: ${told.message}` : String(told);
  } finally {
    await open?.close();
  }
}

describe("TLS is obeyed", () => {
  const rooted = `sslrootcert=${encodeURIComponent(authority)}`;
  test.each([
    ["", true, "plain"],
    ["?sslmode=disable", true, "plain"],
    ["?sslmode=prefer", true, "encrypted"],
    ["?sslmode=prefer", false, "plain"],
    ["?sslmode=require", true, "encrypted"],
    [`?sslmode=require&${rooted}`, true, "encrypted"],
    [`?sslmode=verify-ca&${rooted}`, true, "encrypted"],
    [`?sslmode=verify-full&${rooted}`, true, "encrypted"],
    ["?sslmode=require", false, "database_tls_failed: PostgreSQL at localhost:PORT speaks no TLS"],
    [
      `?sslmode=verify-full&${rooted}`,
      false,
      "database_tls_failed: PostgreSQL at localhost:PORT speaks no TLS",
    ],
    [
      "?sslmode=verify-full",
      true,
      "database_tls_failed: The certificate of the database is not trusted",
    ],
    [
      "?sslmode=verify-ca",
      true,
      "database_tls_failed: The certificate of the database is not trusted",
    ],
    [
      "?sslmode=require&channel_binding=require",
      true,
      "database_tls_failed: The certificate of the database is not trusted",
    ],
  ] as const)(
    "%s where the server speaks TLS: %p",
    async (query, speaksTls, wanted) => {
      await using database = await testDatabase();
      await using server = await front(database.url, speaksTls);
      const said = (await asked(server.at(query))).replaceAll(String(server.port), "PORT");
      const way = server.seen.encrypted > 0 ? "encrypted" : "plain";
      expect(said === "smartdash" ? way : said).toStartWith(wanted);
    },
    20_000,
  );

  test("a certificate of another name is trusted by its authority alone", async () => {
    await using database = await testDatabase();
    await using server = await front(database.url, true, "elsewhere.example");
    const at = (mode: string) => server.at(`?sslmode=${mode}&${rooted}`);
    expect(await asked(at("verify-ca"))).toBe("smartdash");
    expect(await asked(at("verify-full"))).toStartWith("database_tls_failed: The certificate");
  }, 20_000);
});

test("no way there, another user, another database: each has words of its own", async () => {
  await using database = await testDatabase();
  await using server = await front(database.url, false);
  const url = new URL(server.at(""));
  const { pathname, username } = url;
  expect(await asked(`postgres://${username}@127.0.0.1:1${pathname}`)).toBe(
    "database_unavailable: PostgreSQL cannot be reached at 127.0.0.1:1 (connection refused)",
  );
  expect(await asked(`postgres://${username}@no-such-host.invalid${pathname}`)).toContain(
    "database_unavailable: PostgreSQL cannot be reached at no-such-host.invalid:5432",
  );
  expect(await asked(`postgres://nobody:hunter2@localhost:${server.port}${pathname}`)).toMatch(
    /^database_refused: PostgreSQL at localhost:\d+ refuses the user or password \(SQLSTATE 28/,
  );
  expect(await asked(`postgres://${username}@localhost:${server.port}/nothing`)).toMatch(
    /^database_refused: PostgreSQL at localhost:\d+ has no database nothing/,
  );
}, 20_000);

/** Whatever somebody says there. */
async function listener(answering: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    answering(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return { at: `127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => void server.close() };
}

test("what is no database, or is silent, is called that, on each of several hosts", async () => {
  await using web = await listener((socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  );
  await using silent = await listener((socket) => socket.resume());
  await using closing = await listener((socket) => socket.destroy());
  const places: Record<string, string> = {
    [web.at]: "what answers there is not PostgreSQL",
    [silent.at]: "no answer in time",
    [closing.at]: "connection closed",
    "127.0.0.1:1": "connection refused",
  };
  for (const [place, reason] of Object.entries(places)) {
    for (const query of ["", "sslmode=prefer&", "sslmode=require&"]) {
      expect(await asked(`postgres://u:p@${place}/d?${query}connect_timeout=1`)).toBe(
        `database_unavailable: PostgreSQL cannot be reached at ${place} (${reason})`,
      );
    }
  }
  const all = Object.keys(places).join(",");
  const reasons = Object.entries(places).map(([place, reason]) => `${place} (${reason})`);
  expect(await asked(`postgres://u:p@${all}/d?connect_timeout=1`)).toBe(
    `database_unavailable: PostgreSQL cannot be reached at ${reasons.join(", ")}`,
  );
}, 60_000);

test("a socket is the one of its port", async () => {
  await using database = await testDatabase();
  const { searchParams, username, password, pathname } = new URL(database.url);
  const folder = searchParams.get("host") ?? "";
  const at = (port: number) =>
    `postgres://${username}:${password}@${pathname}?host=${encodeURIComponent(folder)}&port=${port}`;
  expect(await asked(at(5432))).toBe("smartdash");
  expect(await asked(at(5433))).toBe(
    `database_unavailable: PostgreSQL cannot be reached at ${folder}/.s.PGSQL.5433 (there is no such socket)`,
  );
});

test("what PostgreSQL refuses is said with what to do", async () => {
  await using database = await testDatabase();
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  const admin = openDatabase(database.url, 1);
  const other = `${name}_user`;
  await admin.sql.unsafe(`create role "${other}"`);
  await admin.sql.unsafe(`revoke create on schema public from public`);
  const said = async (change: (address: URL) => void, work: string) => {
    const address = new URL(database.url);
    change(address);
    const text = address.href.replaceAll("+", "%20");
    const open = openDatabase(text, 1);
    try {
      await explaining(text, async () => await open.sql.unsafe(work));
      return "done";
    } catch (told) {
      if (!(told instanceof DatabaseProblem)) return String(told);
      return `${told.code}: ${told.message.replace(/^.* ((?:does|has|lets|can|takes)\b)/, "$1")}`;
    } finally {
      await open.close();
    }
  };
  const query = (key: string, value: string) => (address: URL) =>
    address.searchParams.set(key, value);
  const one = "select 1";
  expect(await said(query("options", "-c nosuch=1"), one)).toBe(
    "database_refused: does not take what options= says (SQLSTATE 42704)",
  );
  expect(await said(query("options", "endpoint=ep-foo"), one)).toBe(
    "database_refused: does not take what options= says (SQLSTATE 42601)",
  );
  expect(await said(query("schema", "nosuch"), "create table x ()")).toBe(
    "database_refused: has no such schema (SQLSTATE 3F000)",
  );
  const asOther = query("options", `-c role=${other}`);
  expect(await said(asOther, "create table x ()")).toContain(
    `create nothing in ${name} (SQLSTATE 42501)`,
  );
  await admin.sql.unsafe(`alter database "${name}" set default_transaction_read_only = on`);
  expect(await said(() => undefined, "create table x ()")).toBe(
    "database_refused: can only be read (SQLSTATE 25006)",
  );
  await admin.sql.unsafe(`drop role "${other}"`);
  await admin.close();
}, 60_000);

test("of several hosts one that is away is passed over, and so is one that only reads", async () => {
  await using database = await testDatabase();
  await using server = await front(database.url, false);
  const url = new URL(server.at(""));
  const login = `${url.username}:${url.password}`;
  const several = `postgres://${login}@127.0.0.1:1,localhost:${server.port}${url.pathname}`;
  expect(await asked(several)).toBe("smartdash");
  // Another database of the same server that only reads, as a standby does.
  await using standby = await testDatabase();
  const name = new URL(standby.url).pathname.slice(1);
  await standby.open.sql.unsafe(`alter database ${name} set default_transaction_read_only = on`);
  await using reading = await readingFront(standby.url, name, url.pathname.slice(1));
  const both = `postgres://${login}@localhost:${reading.port},localhost:${server.port}${url.pathname}`;
  const open = openDatabase(both, 1);
  const [row] = await open.sql`select current_database() as name`;
  expect(row?.["name"]).toBe(url.pathname.slice(1));
  await open.close();
}, 30_000);

/** Where a database is asked for, another one answers that only reads. */
async function readingFront(url: string, name: string, instead: string) {
  const folder = new URL(url).searchParams.get("host") ?? "";
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const forward = (first: Buffer) => {
      const text = first.toString("latin1").replace(`\0${instead}\0`, `\0${name}\0`);
      const start = Buffer.from(text, "latin1");
      start.writeInt32BE(start.length, 0);
      const onward = connect(`${folder}/.s.PGSQL.5432`);
      onward.on("error", () => socket.destroy());
      onward.write(start);
      socket.pipe(onward).pipe(socket);
    };
    socket.once("data", (first: Buffer) => {
      if (first.length !== 8) return forward(first);
      socket.once("data", forward);
      socket.write("N");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return { port, [Symbol.asyncDispose]: async () => void server.close() };
}

test("migrate takes what hosts print, and names what it does not know", async () => {
  await using database = await testDatabase();
  await using server = await front(database.url, false);
  const status = async (query: string) => {
    const environment = {
      DATABASE_URL: server.at(query),
      ENCRYPTION_KEY: encryptionKey,
      SMARTDASH_HOME: process.env["TMPDIR"] ?? "/tmp",
    };
    const ran = await runBeside({ environment, url: "http://localhost:1" }, [
      "migrate",
      "--status",
    ]);
    return [ran.exit, ran.stdout + ran.stderr] as const;
  };
  for (const query of [
    "",
    "?channel_binding=prefer",
    "?pgbouncer=true",
    "?schema=public",
    "?connection_limit=1",
    "?application_name=x&connect_timeout=5&options=-c%20statement_timeout%3D5000",
  ]) {
    expect([query, (await status(query))[0]]).toEqual([query, 0]);
  }
  const [exit, text] = await status("?search_pth=x&password=hunter2");
  expect([exit, text]).toEqual([
    2,
    expect.stringContaining("DATABASE_URL has a parameter that is not known: search_pth"),
  ]);
  expect(text).not.toContain("hunter2");
}, 60_000);
