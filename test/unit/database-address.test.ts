import { describe, expect, test } from "bun:test";
import { AddressProblem, readAddress } from "#db/address.ts";

const at = (host: string, port = 5432) => ({ host, port });

/** As hosts print them. */
const printed: readonly (readonly [string, string, object])[] = [
  [
    "Neon",
    "postgresql://alex:AbC123dEf@ep-cool-darkness-123456.us-east-2.aws.neon.tech/dbname?sslmode=require&channel_binding=require",
    {
      hosts: [at("ep-cool-darkness-123456.us-east-2.aws.neon.tech")],
      user: "alex",
      password: "AbC123dEf",
      database: "dbname",
      // What channel binding proves, the certificate proves too.
      tls: { mode: "verify-full" },
    },
  ],
  [
    "Neon with its endpoint in options",
    "postgres://u:p@ep-1.neon.tech/db?options=endpoint%3Dep-1&sslmode=require",
    { session: { application_name: "smartdash", options: "endpoint=ep-1" } },
  ],
  [
    "Supabase, pooled",
    "postgresql://postgres.abcdefgh:p%40ss%3Aword@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
    {
      hosts: [at("aws-0-eu-central-1.pooler.supabase.com", 6543)],
      user: "postgres.abcdefgh",
      password: "p@ss:word",
      tls: { mode: "prefer" },
    },
  ],
  [
    "Heroku",
    "postgres://uabc:pdef@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d123",
    { database: "d123", tls: { mode: "prefer" } },
  ],
  ["Render", "postgresql://u:p@dpg-abc-a/db_name", { hosts: [at("dpg-abc-a")] }],
  [
    "RDS",
    "postgres://u:p@x.rds.amazonaws.com/db?sslmode=verify-full&sslrootcert=system",
    { tls: { mode: "verify-full", files: {} } },
  ],
  ["Prisma", "postgresql://u:p@h/db?schema=shop", { session: { search_path: "shop" } }],
  [
    "Prisma's default",
    "postgresql://u:p@h/db?schema=public",
    { session: { application_name: "smartdash" } },
  ],
  [
    "several hosts",
    "postgres://u:p@a:5433,b,[::1]:5435/db",
    { hosts: [at("a", 5433), at("b"), at("::1", 5435)], sessionAttributes: "read-write" },
  ],
  [
    "any of several",
    "postgres://a,b/db?target_session_attrs=any",
    { sessionAttributes: undefined },
  ],
  [
    "Cloud SQL",
    "postgresql://u:p@/db?host=/cloudsql/project:region:name",
    {
      socket: { folder: "/cloudsql/project:region:name", port: 5432 },
      hosts: [],
      tls: { mode: "disable" },
    },
  ],
  [
    "a socket with a port",
    "postgresql://u:p@/db?host=/run/postgresql&port=5433",
    { socket: { folder: "/run/postgresql", port: 5433 } },
  ],
  [
    "a socket in the place of the host",
    "postgresql://u:p@%2Frun%2Fpostgresql:5434/db",
    { socket: { folder: "/run/postgresql", port: 5434 } },
  ],
  [
    "no-verify looks at nothing",
    "postgres://h/d?sslmode=no-verify&sslrootcert=/a.pem",
    { tls: { mode: "require", files: {} } },
  ],
  [
    "libpq's own parameters",
    "postgresql:///?host=a,b&port=5433,5434&user=me&password=x%26y&dbname=d&application_name=app&connect_timeout=3",
    {
      hosts: [at("a", 5433), at("b", 5434)],
      user: "me",
      password: "x&y",
      database: "d",
      connectSeconds: 3,
      session: { application_name: "app" },
    },
  ],
  ["JDBC's ssl", "postgres://h/d?ssl=true", { tls: { mode: "require" } }],
  ["node-postgres", "postgres://h/d?sslmode=no-verify", { tls: { mode: "require" } }],
  ["a plus is a plus", "postgres://u:a+b@h/d", { password: "a+b" }],
  ["an @ in the password", "postgres://u:p@ss@h/d", { password: "p@ss", hosts: [at("h")] }],
  ["this machine", "postgres://localhost/d", { tls: { mode: "disable" } }],
];

describe("a connection string is read as", () => {
  for (const [name, text, parts] of printed) {
    test(`${name} prints it`, () => expect(readAddress(text)).toMatchObject(parts));
  }
});

test.each([
  ["mysql://h/d", /must begin with postgres/],
  ["postgres://u:p#w@h/d", /@ \/ # and \? are %40 %2F %23 and %3F/],
  ["postgres://user:1234/s3cretRest@db.example.com/app", /^cannot be read/],
  ["postgres://user:pa@ss3cret/word@db.example.com/app", /^cannot be read/],
  ["postgres://u:pass?Tr0ub4dor&3@host/db", /^cannot be read/],
  ["postgres://u:p@h%40evil/db", /host or port/],
  ["postgres://u:p@h%2Fx/db", /host or port/],
  ["postgres://h/d?sslmode=verify-full&sslmode=disable", /says sslmode twice/],
  ["postgres://h/d?ssl=true&sslmode=disable", /contradict/],
  ["postgres://h/d?ssl=0&sslmode=verify-full", /contradict/],
  ["postgres://h/d?sslmode=no-verify&channel_binding=require", /contradicts/],
  ["postgres://h/d?sslmode=prefer&sslrootcert=a", /sslrootcert needs sslmode=require/],
  ["postgres://h/d?ssl_min_protocol_version=TLSv1.3", /ssl_min_protocol_version needs/],
  ["postgres://localhost/d?sslcert=a&sslkey=b", /sslcert needs sslmode=require/],
  ["postgres://u:100%@h/d", /not followed by two hex digits/],
  ["postgres://h:99999/d", /port that is none/],
  ["postgres://h:1:2/d", /host or port/],
  ["postgres://h/d?sslmode=always", /sslmode must be one of disable/],
  ["postgres://h/d?ssl=maybe", /ssl must be true or false/],
  ["postgres://h/d?sslcert=a", /sslcert and sslkey go together/],
  ["postgres://h/d?sslnegotiation=direct", /sslnegotiation can only be postgres/],
  ["postgres://h/d?gssencmode=require", /gssencmode can only be/],
  ["postgres://h/d?channel_binding=x", /channel_binding can only be/],
  ["postgres://h/d?ssl_min_protocol_version=SSLv3", /ssl_min_protocol_version/],
  ["postgres://h/d?sslcrl=x", /not known: sslcrl/],
  ["postgres://h/d?requirepeer=x", /not known: requirepeer/],
  ["postgres://h/d?statement_timeout=5", /not known: statement_timeout\. .*options=-c/],
  ["postgres://h/d?hunter2 hunter2=5", /whose name cannot be shown/],
  ["postgres://h/d?connect_timeout=soon", /connect_timeout must be whole seconds/],
  ["postgres://h/d?target_session_attrs=best", /target_session_attrs must be one of/],
])("%s is refused with words", (text, words) => {
  expect(() => readAddress(text)).toThrow(words);
  expect(() => readAddress(text)).toThrow(AddressProblem);
});
