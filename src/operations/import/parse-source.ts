import type { App } from "#src/app.ts";
import { isObject, objectIn } from "#src/json.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { OutsideTrouble } from "#src/http/fetch-exchange.ts";

/** One row of the class that holds tokens. */
export type SourceRow = {
  readonly objectId: string;
  /** Sealed with Fernet; empty when the row has none. */
  readonly tokens: string;
  readonly scope: string | undefined;
};

/** A Parse server (Back4App), read with its master key. */
export type ParseSource = {
  /** Which server and class; goes into the table of imports. */
  readonly name: string;
  /** Every row, a page at a time, by object id. Failures: `source_refused`. */
  rows(): AsyncGenerator<readonly SourceRow[]>;
  /** Whether everybody who knows the application id may list the class. */
  isWorldReadable(): Promise<boolean>;
  remove(objectId: string): Promise<void>;
  /** The shell command that locks the class. */
  readonly lockCommand: string;
};

type ParseAccess = {
  readonly url: string;
  readonly appId: string;
  readonly masterKey: Secret;
  readonly className: string;
};

/** Sealed tokens are long, and an answer has a limit. */
const pageRows = 25;

export function parseSource(app: Pick<App, "outbound">, access: ParseAccess): ParseSource {
  const url = access.url.replace(/(?<!\/)\/+$/, "");
  const { className } = access;
  const ask = (method: string, path: string) => request(app, { ...access, url }, { method, path });
  return {
    name: `${url}/${className}`,
    async *rows() {
      let after = "";
      for (;;) {
        // Parse on PostgreSQL refuses a comparison with nothing.
        const beyond = after === "" ? {} : { objectId: { $gt: after } };
        const where = encodeURIComponent(JSON.stringify(beyond));
        const query = `order=objectId&keys=tokens,scope&limit=${pageRows}&where=${where}`;
        const { results } = await ask("GET", `/classes/${className}?${query}`);
        if (!Array.isArray(results)) throw refused("its answer has no results");
        const rows = results.flatMap(readRow);
        if (rows.length > 0) yield rows;
        const last = rows.at(-1);
        // Whatever is in them, it is the number of rows that tells the last page.
        if (last === undefined || results.length < pageRows) return;
        if (last.objectId <= after) throw refused("its pages do not end");
        after = last.objectId;
      }
    },
    async isWorldReadable() {
      const { classLevelPermissions } = await ask("GET", `/schemas/${className}`);
      const permissions = isObject(classLevelPermissions) ? classLevelPermissions : {};
      return ["find", "get"].some((right) => {
        const granted = permissions[right];
        return isObject(granted) && granted["*"] === true;
      });
    },
    remove: async (objectId) => {
      await ask("DELETE", `/classes/${className}/${encodeURIComponent(objectId)}`);
    },
    lockCommand: `curl -X PUT ${url}/schemas/${className} -H "X-Parse-Application-Id: $PARSE_APP_ID" -H "X-Parse-Master-Key: $PARSE_MASTER_KEY" -H "Content-Type: application/json" -d '{"classLevelPermissions":{"find":{},"count":{},"get":{},"create":{},"update":{},"delete":{},"addField":{}}}'`,
  };
}

async function request(
  app: Pick<App, "outbound">,
  { url, appId, masterKey }: ParseAccess,
  { method, path }: { method: string; path: string },
): Promise<Readonly<Record<string, unknown>>> {
  const headers = {
    accept: "application/json",
    "x-parse-application-id": appId,
    "x-parse-master-key": masterKey.reveal(),
  };
  const answer = await app
    .outbound(`${url}${path}`, { method, headers })
    .catch((error: unknown) => {
      throw refused(error instanceof OutsideTrouble ? error.reason : "no answer");
    });
  const body = objectIn(answer.text);
  const code = body?.["code"];
  // 101: it is gone already, which is what a removal wants.
  const isGone = method === "DELETE" && code === 101;
  if (body !== undefined && (isGone || (answer.status >= 200 && answer.status < 300))) return body;
  throw refused(`HTTP ${answer.status}${typeof code === "number" ? `, Parse code ${code}` : ""}`);
}

function refused(reason: string): Failure {
  return new Failure("source_refused", `The Parse server did not answer as it should: ${reason}`, {
    hint: "Compare PARSE_SERVER_URL, PARSE_APP_ID and PARSE_MASTER_KEY with the server; masterKeyIps must name this machine",
  });
}

const longestScope = 2000;

function readRow(value: unknown): readonly SourceRow[] {
  if (!isObject(value)) return [];
  const { objectId, tokens, scope } = value;
  if (typeof objectId !== "string" || !/^[\w-]{1,64}$/.test(objectId)) return [];
  return [
    {
      objectId,
      tokens: typeof tokens === "string" ? tokens : "",
      // PostgreSQL takes neither NUL nor half a surrogate pair.
      scope:
        typeof scope === "string"
          ? scope.slice(0, longestScope).replaceAll("\0", "").toWellFormed()
          : undefined,
    },
  ];
}
