import type { StartedGateway } from "./gateway.ts";
import type { Address } from "./jobs.ts";
import { startScript } from "./owned.ts";
import type { Stop } from "./owned.ts";

export const referenceNames = ["oidcNode", "oidcBun"] as const;

/** Something that answers client credentials with a signed JWT. */
export type Issuer = Address & {
  readonly name: "issuer" | (typeof referenceNames)[number];
  readonly pid: number;
};
export type Reference = Issuer & { readonly runtime: string; readonly stop: Stop };

export const tokenRequest = "grant_type=client_credentials";

/** `client_secret_basic`, and a form. */
export function clientHeaders(id: string, secret: string): Record<string, string> {
  return {
    Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`,
    "Content-Type": "application/x-www-form-urlencoded",
  };
}

/** The gateway's own issuer, named as a column of its own: its readings are tokens, not calls. */
export function issuerOf({ token, pid }: StartedGateway): Issuer {
  return { ...token, name: "issuer", pid };
}

/** node-oidc-provider under Node, its home, and under Bun; without the runtimes under which it does not start. */
export async function startReferences(algorithm: string): Promise<readonly Reference[]> {
  const node = nodeProgram();
  if (node === undefined) console.error("tokens: there is no Node in PATH");
  const runtimes = [
    ...(node === undefined ? [] : [{ ...node, name: "oidcNode" as const }]),
    { name: "oidcBun" as const, program: process.execPath, runtime: `Bun ${Bun.version}` },
  ];
  const started: Reference[] = [];
  for (const runtime of runtimes) {
    const reference = await startReference(runtime, algorithm).catch((error: unknown) => {
      console.error(`tokens: node-oidc-provider does not run by ${runtime.runtime}:`, error);
    });
    if (reference !== undefined) started.push(reference);
  }
  return started;
}

async function startReference(
  by: Pick<Reference, "name" | "runtime"> & { readonly program: string },
  algorithm: string,
): Promise<Reference> {
  const { name, runtime, program } = by;
  // As long as the gateway's own.
  const [id, secret] = ["agent_bench-client-of-the-token", "s".repeat(46)];
  const args = [id, secret, algorithm];
  const { url, child, stop } = await startScript("oidc-provider.mjs", args, { program });
  return { name, runtime, url, headers: clientHeaders(id, secret), pid: child.pid, stop };
}

/** Node itself: what a Bun calls `node` may be another Bun. */
function nodeProgram(): { readonly program: string; readonly runtime: string } | undefined {
  const program = Bun.which("node");
  if (program === null) return undefined;
  const asked = Bun.spawnSync([program, "-p", "process.versions.bun ? '' : process.version"]);
  const version = asked.stdout.toString().trim();
  return version === "" ? undefined : { program, runtime: `Node ${version}` };
}

/** One token, and what it is signed with. */
export async function takeToken(issuer: Address): Promise<{ token: string; algorithm: string }> {
  const { url, headers } = issuer;
  const response = await fetch(url, { method: "POST", headers, body: tokenRequest });
  const answer: unknown = await response.json();
  if (typeof answer !== "object" || answer === null || !("access_token" in answer)) {
    throw new Error(`no token from ${url}: ${JSON.stringify(answer)}`);
  }
  const token = String(answer.access_token);
  const [head = ""] = token.split(".");
  const { alg, typ } = JSON.parse(Buffer.from(head, "base64url").toString());
  if (typ !== "at+jwt") throw new Error(`${url} does not answer with JWT access tokens`);
  return { token, algorithm: String(alg) };
}
