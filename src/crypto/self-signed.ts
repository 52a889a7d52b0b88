import {
  X509Certificate,
  createECDH,
  createPrivateKey,
  hkdfSync,
  randomBytes,
  randomUUID,
} from "node:crypto";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isIP } from "node:net";
import { Failure, codeOf } from "#src/failure.ts";
import type { NodeKey } from "./node-key.ts";
import { Secret } from "./secret.ts";

/** A certificate chain and its key, both PEM. */
export type KeyPair = { readonly certificate: string; readonly key: Secret };

const lastsMs = 10 * 365 * 86_400_000;
const leastLeftMs = 30 * 86_400_000;

/**
 * The node's own certificate (ECDSA P-256), in `node.crt` of SMARTDASH_HOME; made when there is none, or one that
 * is of another key or near its end. Its key is derived from the node key and never stored.
 * Failures: `home_unusable`.
 */
export async function ownCertificate(
  home: string,
  node: Pick<NodeKey, "seed">,
  { hostname, now }: { readonly hostname: string; readonly now: Date },
): Promise<KeyPair> {
  const file = join(home, "node.crt");
  const key = keyFrom(node);
  const known = readText(file);
  if (known !== undefined && isGood(known, key, now)) return { certificate: known, key };
  const made = await makeCertificate(key, { hostname, now });
  try {
    keep(home, file, { text: made, isFirst: known === undefined });
  } catch (error) {
    throw new Failure("home_unusable", `${file} cannot be written (${codeOf(error)})`);
  }
  // Another gateway of this folder may have been faster: all show one.
  return { certificate: readText(file) ?? made, key };
}

function keep(home: string, file: string, { text, isFirst }: { text: string; isFirst: boolean }) {
  mkdirSync(home, { recursive: true });
  const made = `${file}.${randomUUID()}`;
  writeFileSync(made, text, { mode: 0o644, flag: "wx" });
  try {
    if (isFirst) linkSync(made, file);
    else renameSync(made, file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(made, { force: true });
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Which names it is good for besides. */
const local = ["localhost", "127.0.0.1", "::1"];

function isGood(text: string, key: Secret, now: Date): boolean {
  try {
    const certificate = new X509Certificate(text);
    const left = new Date(certificate.validTo).getTime() - now.getTime();
    return left > leastLeftMs && certificate.checkPrivateKey(createPrivateKey(key.reveal()));
  } catch {
    return false;
  }
}

/** One output in 2^32 is no key of the curve: then the next counter is taken. */
function keyFrom(node: Pick<NodeKey, "seed">, counter = 0): Secret {
  const seed = Buffer.from(node.seed().reveal(), "base64url");
  const d = Buffer.from(hkdfSync("sha256", seed, "", `smartdash node tls ${counter}`, 32));
  const curve = createECDH("prime256v1");
  try {
    curve.setPrivateKey(d);
  } catch (error) {
    if (counter === 3) throw error;
    return keyFrom(node, counter + 1);
  }
  const point = curve.getPublicKey();
  const x = point.subarray(1, 33).toString("base64url");
  const y = point.subarray(33).toString("base64url");
  const jwk = { kty: "EC", crv: "P-256", d: d.toString("base64url"), x, y };
  const pem = createPrivateKey({ key: jwk, format: "jwk" }).export({
    type: "pkcs8",
    format: "pem",
  });
  return new Secret(pem);
}

async function makeCertificate(
  key: Secret,
  { hostname, now }: { readonly hostname: string; readonly now: Date },
): Promise<string> {
  // Only whoever makes one loads what makes them.
  await import("reflect-metadata");
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const privateKey = createPrivateKey(key.reveal());
  const { d: _, ...open } = privateKey.export({ format: "jwk" });
  const keys = {
    privateKey: await crypto.subtle.importKey(
      "jwk",
      privateKey.export({ format: "jwk" }),
      algorithm,
      false,
      ["sign"],
    ),
    publicKey: await crypto.subtle.importKey("jwk", open, algorithm, true, ["verify"]),
  };
  const names = [...new Set([hostname, ...local])].map((value) => ({
    type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
    value,
  }));
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `00${randomBytes(16).toString("hex")}`,
    name: "CN=smartdash node",
    notBefore: new Date(now.getTime() - 3_600_000),
    notAfter: new Date(now.getTime() + lastsMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension(names)],
  });
  return `${made.toString("pem")}\n`;
}
