import { Failure } from "#src/failure.ts";
import type { Call } from "./message.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * MCP 2026-07-28, Streamable HTTP: a server that processes the body refuses headers that say something else.
 * Failures: `header_mismatch`.
 */
export function checkHeaders(request: Request, call: Call): void {
  // Of other revisions, what is passed on is checked: see `checkMirrors`.
  if (!call.isModern) return;
  checkVersion(request, call);
  // What notifications have to mirror is not defined; what they do mirror has to be right.
  const isRequest = call.id !== null;
  const method = request.headers.get("mcp-method");
  if (method === null ? isRequest : method !== call.rpcMethod) throw mismatch("Mcp-Method");
  if (call.name === undefined) return;
  const name = request.headers.get("mcp-name");
  if (name === null ? isRequest : decodeHeader(name) !== call.name) throw mismatch("Mcp-Name");
}

/**
 * Clients of other revisions need not mirror anything; whoever reads a mirror behind us may believe it.
 * Failures: `header_mismatch`.
 */
export function checkMirrors(passedOn: Readonly<Record<string, string>>, call: Call): void {
  const { "mcp-method": method, "mcp-name": name } = passedOn;
  if (method !== undefined && method !== call.rpcMethod) throw mismatch("Mcp-Method");
  if (name !== undefined && decodeHeader(name) !== call.name) throw mismatch("Mcp-Name");
}

function checkVersion({ headers }: Request, { bodyVersion }: Call): void {
  const version = headers.get("mcp-protocol-version");
  const isOther = bodyVersion !== undefined && version !== bodyVersion;
  if (version === null || isOther) throw mismatch("MCP-Protocol-Version");
}

/** Undoes the Base64 form `=?base64?…?=`; anything else stands for itself. */
function decodeHeader(value: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(value)?.[1];
  if (encoded === undefined) return value;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.toString("base64") !== encoded) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function mismatch(header: string): Failure {
  return new Failure(
    "header_mismatch",
    `Header mismatch: ${header} is missing or differs from the body`,
  );
}
