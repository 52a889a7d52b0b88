import { createCipheriv, createHmac, randomBytes } from "node:crypto";

export type ParseRow = {
  readonly objectId: string;
  readonly user_id: string;
  readonly tokens: string;
  readonly scope?: string;
};

/** Answers as a Parse server does (measured on parse-server 9.10.0), for one class. */
export type ParseLike = AsyncDisposable & {
  readonly url: string;
  readonly rows: Map<string, ParseRow>;
  /** How often a page was read. */
  readonly pages: () => number;
  isLocked: boolean;
};

export const parseApp = "parse-app-id";
export const parseMasterKey = "parse-master-key-0123456789";

export function parseLike(): ParseLike {
  const state: State = { rows: new Map(), pages: 0, isLocked: true };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { headers } = request;
      const isKnown =
        headers.get("x-parse-application-id") === parseApp &&
        headers.get("x-parse-master-key") === parseMasterKey;
      return isKnown ? answer(state, request) : refused(403, { error: "unauthorized" });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/parse`,
    rows: state.rows,
    pages: () => state.pages,
    get isLocked() {
      return state.isLocked;
    },
    set isLocked(isLocked) {
      state.isLocked = isLocked;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

type State = { readonly rows: Map<string, ParseRow>; pages: number; isLocked: boolean };

function refused(status: number, body: object): Response {
  return Response.json(body, { status });
}

function answer(state: State, { url, method }: Request): Response {
  const { pathname, searchParams } = new URL(url);
  if (pathname === "/parse/schemas/UserToken") {
    const find = state.isLocked ? {} : { "*": true };
    return Response.json({ className: "UserToken", classLevelPermissions: { find, get: {} } });
  }
  const id = /^\/parse\/classes\/UserToken\/(\w+)$/.exec(pathname)?.[1];
  if (method === "DELETE" && id !== undefined) {
    const isGone = state.rows.delete(id);
    return isGone ? Response.json({}) : refused(404, { code: 101, error: "Object not found." });
  }
  return pathname === "/parse/classes/UserToken"
    ? page(state, searchParams)
    : Response.json({ results: [] });
}

function page(state: State, asked: URLSearchParams): Response {
  state.pages += 1;
  const where = JSON.parse(asked.get("where") ?? "{}") as { objectId?: { $gt?: string } };
  const after = where.objectId?.$gt;
  if (after === "") {
    const error = 'Postgres doesn\'t support this query type yet {"$gt":""}';
    return refused(400, { code: 119, error });
  }
  const found = [...state.rows.values()]
    .filter(({ objectId }) => after === undefined || objectId > after)
    .toSorted((left, right) => (left.objectId < right.objectId ? -1 : 1));
  return Response.json({ results: found.slice(0, Number(asked.get("limit") ?? "100")) });
}

/** A Fernet token as python-cryptography makes them. */
export function sealFernet(text: string, key: Uint8Array): string {
  const iv = randomBytes(16);
  const cipher = createCipheriv("aes-128-cbc", key.subarray(16), iv);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 1000)));
  const head = Buffer.concat([Buffer.of(0x80), time, iv]);
  const signed = Buffer.concat([head, cipher.update(text, "utf8"), cipher.final()]);
  const tag = createHmac("sha256", key.subarray(0, 16)).update(signed).digest();
  return Buffer.concat([signed, tag]).toString("base64url");
}
