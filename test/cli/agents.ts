import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as FormerClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as FormerTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { isObject } from "#src/json.ts";

/** What an agent does with an MCP server, whichever SDK it is built on. */
export type Agent = AsyncDisposable & {
  /** The protocol revision that was agreed on. */
  readonly protocol: string | undefined;
  tools(): Promise<string[]>;
  /** The text of a tool's answer. */
  call(name: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  /** The steps that a tool reported while it ran. */
  progressOf(name: string): Promise<number[]>;
  read(uri: string): Promise<string>;
  prompt(name: string): Promise<string>;
};

export type ConnectAgent = (url: string, bearer: string) => Promise<Agent>;

const identity = { name: "smartdash-test", version: "1.0.0" };

/** The official SDK v2, which asks for the modern protocol first. */
export async function modernAgent(url: string, bearer: string): Promise<Agent> {
  const client = new Client(identity, { versionNegotiation: { mode: "auto" } });
  const transport = new StreamableHTTPClientTransport(new URL(url), withBearer(bearer));
  await client.connect(transport);
  return {
    protocol: client.getNegotiatedProtocolVersion(),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}) => textOf(await client.callTool({ name, arguments: args })),
    progressOf: async (name) => {
      const steps: number[] = [];
      await client.callTool({ name }, { onprogress: ({ progress }) => steps.push(progress) });
      return steps;
    },
    read: async (uri) => JSON.stringify((await client.readResource({ uri })).contents),
    prompt: async (name) => JSON.stringify((await client.getPrompt({ name })).messages),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** The official SDK v1, which most agents are still built on. */
export async function formerAgent(url: string, bearer: string): Promise<Agent> {
  const client = new FormerClient(identity);
  const transport = new FormerTransport(new URL(url), withBearer(bearer));
  await client.connect(transport);
  return {
    protocol: transport.protocolVersion,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}) => textOf(await client.callTool({ name, arguments: args })),
    progressOf: async (name) => {
      const steps: number[] = [];
      const onprogress = ({ progress }: { progress: number }) => void steps.push(progress);
      await client.callTool({ name }, undefined, { onprogress });
      return steps;
    },
    read: async (uri) => JSON.stringify((await client.readResource({ uri })).contents),
    prompt: async (name) => JSON.stringify((await client.getPrompt({ name })).messages),
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

function withBearer(bearer: string) {
  return { requestInit: { headers: { Authorization: `Bearer ${bearer}` } } };
}

function textOf(answer: unknown): string {
  const content = isObject(answer) ? answer["content"] : undefined;
  const first: unknown = Array.isArray(content) ? content[0] : undefined;
  return isObject(first) && typeof first["text"] === "string" ? first["text"] : "";
}
