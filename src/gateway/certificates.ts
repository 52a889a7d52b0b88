import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import type { App } from "#src/app.ts";
import { openNodeKey } from "#src/crypto/node-key.ts";
import { Secret } from "#src/crypto/secret.ts";
import { type KeyPair, ownCertificate } from "#src/crypto/self-signed.ts";
import { Failure } from "#src/failure.ts";
import type { Tls } from "#src/runtime/runtime.ts";

/** What this process shows whoever connects. */
type Certificates = {
  current(): Tls;
  /** SHA-256 in hex of the one that is shown. */
  readonly fingerprint: () => string;
  /** Hands on a new one when its files change and fit each other; `take` says whether it is shown now. Returns how to stop looking. */
  follow(take: (tls: Tls) => boolean): () => void;
};

const everyMs = 2000;

type Deps = Pick<App, "config" | "seal" | "log" | "now" | "publicUrl">;

/** Undefined without TLS. Failures: `certificate_unusable`, `home_unusable`. */
export async function openCertificates(app: Deps): Promise<Certificates | undefined> {
  const { tls, home } = app.config;
  if (tls === undefined) return undefined;
  const read = async () =>
    tls.kind === "files"
      ? fromFiles(tls.certificate, tls.key)
      : await ownCertificate(home, openNodeKey(home, app.seal), {
          hostname: new URL(app.publicUrl).hostname,
          now: app.now(),
        });
  let pair = fitting(await read());
  if (new Date(new X509Certificate(pair.certificate).validTo) < app.now()) {
    app.log.warn("certificate_expired", { sha256: fingerprintOf(pair) });
  }
  const shown = () => ({ ...pair, least: tls.least });
  return {
    current: shown,
    fingerprint: () => fingerprintOf(pair),
    follow(take) {
      if (tls.kind !== "files") return () => undefined;
      let refused = "";
      const timer = setInterval(() => {
        try {
          const next = fitting(fromFiles(tls.certificate, tls.key));
          if (next.certificate === pair.certificate) return;
          if (!take({ ...next, least: tls.least })) throw new Error("needs a restart");
          pair = next;
          refused = "";
          app.log.info("certificate_taken", { sha256: fingerprintOf(pair) });
        } catch (error) {
          // Between two files that are written; the old one is shown until both fit.
          const reason = error instanceof Error ? error.message : "";
          if (reason !== refused) app.log.warn("certificate_not_taken", { reason });
          refused = reason;
        }
      }, everyMs).unref();
      return () => clearInterval(timer);
    },
  };
}

function fromFiles(certificate: string, key: string): KeyPair {
  return {
    certificate: contentOf(certificate),
    key: new Secret(contentOf(key)),
  };
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw unusable(`${path} cannot be read`);
  }
}

/** Failures: `certificate_unusable`. */
function fitting(pair: KeyPair): KeyPair {
  let isFitting: boolean;
  try {
    // The whole chain: a part that is not readable would end the listener.
    const [own] = blocksIn(pair.certificate).map((block) => new X509Certificate(block));
    isFitting = own?.checkPrivateKey(createPrivateKey(pair.key.reveal())) === true;
  } catch {
    throw unusable("The certificate or its key is not PEM");
  }
  if (!isFitting) throw unusable("The key is not that of the certificate");
  return pair;
}

function blocksIn(text: string): readonly string[] {
  return text.split(/(?=-----BEGIN )/).filter((block) => block.startsWith("-----BEGIN CERT"));
}

function fingerprintOf({ certificate }: KeyPair): string {
  return new X509Certificate(certificate).fingerprint256.replaceAll(":", "").toLowerCase();
}

function unusable(why: string): Failure {
  return new Failure("certificate_unusable", why, {
    hint: "TLS_CERT_FILE is the chain with the gateway's own certificate first, TLS_KEY_FILE its key; both PEM, readable by the user that runs smartdash.",
  });
}
