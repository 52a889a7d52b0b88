import { isObject } from "#src/json.ts";
import type { Incoming, OutgoingRequest } from "#src/http/exchange.ts";
import { version } from "#src/runtime/runtime.ts";
import { type Api, type Attachment, Unauthorized } from "./api.ts";
import { ToolProblem } from "./problem.ts";
import { checked } from "./arguments.ts";
import { type Pack, type Tool, untrustedNotice } from "./tool.ts";

/*
 * The MCP side of a pack, in this process and in both eras: every request stands for itself, there is no session and
 * no stream. Written here and not with the SDK's server, which would be built anew for each call.
 */

const modern = "2026-07-28";
/** Not 2025-03-26, which has batches. */
const legacyVersions = ["2025-11-25", "2025-06-18", "2024-11-05"];
const [invalidRequest, methodNotFound, invalidParams, unsupportedVersion] = [
  -32_600, -32_601, -32_602, -32_022,
];
/** Lists of tools change with a release of this gateway alone. */
const listTtlMs = 300_000;

type Message = Readonly<Record<string, unknown>>;
type Reply = { readonly status: number; readonly body?: Message };
type Result = Readonly<Record<string, unknown>>;

/** Without what belongs to one call alone. */
type ToolApi = Omit<Api, "attach">;

export type ServedPack = {
  /** Answers one request of an agent. `apiOf` gives what tools call the API with. */
  answer(request: OutgoingRequest, apiOf: () => ToolApi): Promise<Incoming>;
};

/** @param pack With the tools that may be used here. */
export function servePack(pack: Pack): ServedPack {
  const served = {
    ...factsOf(pack),
    tools: new Map(pack.tools.map((tool) => [tool.name, tool])),
  };
  return {
    async answer(request, apiOf) {
      if (request.method !== "POST") return incoming({ status: 405 });
      try {
        const [, credential = ""] = (request.headers["authorization"] ?? "").split(" ");
        const message = parsed(request.body);
        const refusal = unknownVersion(request.headers["mcp-protocol-version"], message);
        return incoming(refusal ?? (await reply(served, message, apiOf)), credential);
      } catch (error) {
        if (error instanceof Unauthorized) return incoming({ status: 401 });
        throw error;
      }
    },
  };
}

/** What does not change between two requests. */
function factsOf({ name, instructions, tools }: Pack) {
  const serverInfo = { name, version: version.number };
  const capabilities = { tools: { listChanged: false } };
  const cached = { ttlMs: listTtlMs, cacheScope: "public" };
  const listed = { tools: tools.map(shownTool) };
  return {
    listed,
    listedModern: { ...listed, ...cached },
    initialized: { capabilities, serverInfo, instructions },
    discovered: {
      supportedVersions: [modern, ...legacyVersions],
      capabilities,
      instructions,
      ...cached,
      _meta: { "io.modelcontextprotocol/serverInfo": serverInfo },
    },
  };
}

type Served = ReturnType<typeof factsOf> & { readonly tools: ReadonlyMap<string, Tool> };

async function reply(served: Served, message: unknown, apiOf: () => ToolApi): Promise<Reply> {
  // An answer of the client: nothing was asked.
  if (isObject(message) && ("result" in message || "error" in message)) return { status: 202 };
  if (!isRequest(message)) return failed(400, null, new Fault(invalidRequest, "Send one request"));
  const { id } = message;
  if (id === undefined) return { status: 202 };
  const refusal = wrongVersion(message);
  if (refusal !== undefined) return failed(400, id, refusal);
  return answered(id, isModern(message), await resultOf(served, message, apiOf));
}

function answered(id: unknown, isNew: boolean, given: Result | Fault): Reply {
  if (given instanceof Fault) {
    return failed(isNew && given.code === methodNotFound ? 404 : 200, id, given);
  }
  const result = isNew ? { resultType: "complete", ...given } : given;
  return { status: 200, body: { jsonrpc: "2.0", id, result } };
}

function isRequest(message: unknown): message is Message {
  if (!isObject(message) || message["jsonrpc"] !== "2.0") return false;
  const { id, method } = message;
  const isId = id === undefined || typeof id === "string" || typeof id === "number";
  return isId && typeof method === "string";
}

async function resultOf(
  served: Served,
  message: Message,
  apiOf: () => ToolApi,
): Promise<Result | Fault> {
  const params = isObject(message["params"]) ? message["params"] : {};
  switch (message["method"]) {
    case "initialize":
      return { protocolVersion: agreed(params["protocolVersion"]), ...served.initialized };
    case "server/discover":
      return served.discovered;
    case "ping":
      return {};
    case "tools/list":
      return isModern(message) ? served.listedModern : served.listed;
    case "tools/call": {
      const tool = served.tools.get(String(params["name"]));
      if (tool === undefined) return new Fault(invalidParams, unknownTool(params["name"]));
      return await called(tool, params["arguments"] ?? {}, apiOf());
    }
    default:
      return new Fault(methodNotFound, "Method not found");
  }
}

function unknownTool(name: unknown): string {
  const named = typeof name === "string" ? `no tool ${name.slice(0, 60)}` : "no such tool";
  return `There is ${named} here: tools/list has those that there are`;
}

function agreed(asked: unknown): string | undefined {
  return legacyVersions.find((each) => each === asked) ?? legacyVersions[0];
}

class Fault {
  readonly code: number;
  readonly message: string;
  readonly data: Message | undefined;

  constructor(code: number, message: string, data?: Message) {
    this.code = code;
    this.message = message;
    this.data = data;
  }
}

function failed(status: number, id: unknown, { code, message, data }: Fault): Reply {
  const error = { code, message, ...(data === undefined ? {} : { data }) };
  return { status, body: { jsonrpc: "2.0", id, error } };
}

/** MCP, Streamable HTTP: a version in the header that is not spoken here is 400; without one, any goes. */
function unknownVersion(said: string | undefined, message: unknown): Reply | undefined {
  const supported = [modern, ...legacyVersions];
  if (said === undefined || supported.includes(said)) return undefined;
  const id = isRequest(message) ? (message["id"] ?? null) : null;
  return failed(
    400,
    id,
    new Fault(unsupportedVersion, "Unsupported protocol version", { supported }),
  );
}

function metaOf(message: Message): Message {
  const params = isObject(message["params"]) ? message["params"] : {};
  return isObject(params["_meta"]) ? params["_meta"] : {};
}

function isModern(message: Message): boolean {
  return metaOf(message)["io.modelcontextprotocol/protocolVersion"] !== undefined;
}

function wrongVersion(message: Message): Fault | undefined {
  const meta = metaOf(message);
  const asked = meta["io.modelcontextprotocol/protocolVersion"];
  if (asked === undefined) return undefined;
  if (asked !== modern) {
    return new Fault(unsupportedVersion, "Unsupported protocol version", { supported: [modern] });
  }
  return isObject(meta["io.modelcontextprotocol/clientCapabilities"])
    ? undefined
    : new Fault(invalidParams, "_meta lacks io.modelcontextprotocol/clientCapabilities");
}

function parsed(body: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(body ?? []).toString());
  } catch {
    return undefined;
  }
}

/** @param credential Of the account; taken out should the API have said it. */
function incoming({ status, body }: Reply, credential = ""): Incoming {
  const text = body === undefined ? "" : JSON.stringify(body);
  const isTold = credential.length >= 8 && text.includes(credential);
  const bytes = new TextEncoder().encode(isTold ? text.replaceAll(credential, "…") : text);
  const headers: Readonly<Record<string, string>> = {
    ...(status === 405 ? { allow: "POST" } : {}),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    "content-length": String(bytes.length),
  };
  return {
    status,
    headers: { get: (name) => headers[name] },
    taken: (most) => (bytes.length <= most ? bytes : undefined),
    flow(sink) {
      let isOver = false;
      return {
        pause: () => undefined,
        resume() {
          if (isOver) return;
          isOver = true;
          if (bytes.length > 0) sink.chunk(bytes);
          sink.end();
        },
        cancel: () => void (isOver = true),
      };
    },
  };
}

/** About 20,000 tokens: what clients take in at most. */
const mostBytes = 80_000;

async function called(tool: Tool, given: unknown, api: ToolApi): Promise<Result> {
  try {
    const files: Attachment[] = [];
    const attach = (file: Attachment) => void files.push(file);
    const answer = await tool.run({ ...api, attach }, await checked(tool, given));
    const text = JSON.stringify(answer);
    if (Buffer.byteLength(text) > mostBytes) {
      throw new ToolProblem("rejected", "The answer is too long for a model", {
        nextStep: "Ask for fewer rows, or leave out what is optional.",
      });
    }
    const content = [{ type: "text", text }, ...files.map(resourceOf)];
    return { content, structuredContent: answer, isError: false };
  } catch (error) {
    if (!(error instanceof ToolProblem)) throw error;
    return { content: [{ type: "text", text: JSON.stringify(told(error)) }], isError: true };
  }
}

function resourceOf({ name, mimeType, bytes }: Attachment) {
  const blob = Buffer.from(bytes).toString("base64");
  return { type: "resource", resource: { uri: `file:///${name}`, mimeType, blob } };
}

function told({ code, message, about }: ToolProblem): Message {
  const { httpStatus, field, nextStep, current, untrustedText } = about;
  return {
    code,
    message,
    ...(httpStatus === undefined ? {} : { http_status: httpStatus }),
    ...(field === undefined ? {} : { field }),
    ...(current === undefined ? {} : { current }),
    ...(untrustedText === undefined ? {} : { untrusted_text: untrustedText }),
    ...(nextStep === undefined ? {} : { next_step: nextStep }),
  };
}

function shownTool({ name, title, description, input, output, effect, isIdempotent }: Tool) {
  return {
    name,
    title: title.en,
    description: `${description} ${untrustedNotice}`,
    inputSchema: input,
    outputSchema: output,
    annotations: {
      title: title.en,
      readOnlyHint: effect === "reading",
      destructiveHint: effect === "destructive",
      idempotentHint: isIdempotent,
      openWorldHint: true,
    },
  };
}
